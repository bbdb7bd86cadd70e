import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { test } from 'tap'
import { requestControl, type EngineStatus } from '@fastkeep/engine'
import { needsRoot } from '../programs.js'
import { Project } from './project.js'

const NOBODY = 65_534

async function answer (url: string): Promise<{ pid: number, uid: number }> {
  return await (await fetch(url, { headers: { connection: 'close' } })).json() as { pid: number, uid: number }
}

test('start --workers serves with so many processes, none of them the supervisor, and the status has a line for each', async t => {
  const project = new Project(t)
  const child = project.begin(['start', 'plugin.mjs', '--workers', '2', '--pid-file', project.pidFile])
  const status = await project.serving(child)
  t.equal(status.pid, child.pid)
  t.match(status.supervisor, { target: 2, generation: 1, crashLoop: false })
  const pids = status.workers?.map(({ pid }) => pid) ?? []
  t.equal(pids.length, 2)
  t.ok(status.workers?.every(({ memory }) => memory > 0), 'known as soon as they serve')
  t.ok(pids.includes((await answer(String(status.urls[0]))).pid))
  t.notMatch(readFileSync(`/proc/${child.pid}/maps`, 'utf8'), 'plugin.mjs')
  const page = await project.run(['status', '--pid-file', project.pidFile])
  for (const pid of pids) t.match(page.output, new RegExp(`^\\d +${pid} +ready +1 `, 'm'))
  t.match(page.output, /^serving +http:\/\/127\.0\.0\.1:\d+$/m)

  t.equal((await project.run(['scale', '3', '--pid-file', project.pidFile])).code, 0)
  t.equal((await project.serving(child)).workers?.length, 3)
  t.match(await project.run(['scale', '5000', '--pid-file', project.pidFile]), { code: 64, output: /"workers" of "scale" must be a whole number from 1 to 1024/ })

  const stopped = await project.run(['stop', '--pid-file', project.pidFile])
  t.same(stopped, { code: 0, output: 'stopped\n' })
  t.same(await child.ended, { code: 0, signal: null })
  for (const pid of pids) t.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
})

test('reload gives new workers the present code; one that fails leaves the old ones and is told with its reason', async t => {
  const project = new Project(t)
  const child = project.begin(['start', 'plugin.mjs', '--workers', '2', '--drain-restart-idle-window', '50', '--pid-file', project.pidFile])
  const before = await project.serving(child)
  const url = String(before.urls[0])
  writeFileSync(project.path('plugin.mjs'), 'export default async (fastify, options) => { fastify.get("/", async () => ({ pid: process.pid, is: "new" })) }')
  t.match(await project.run(['reload', '--pid-file', project.pidFile]), { code: 0, output: /reloaded, still process/ })
  t.match(await answer(url), { is: 'new' })
  const after = await project.serving(child)
  t.equal(after.supervisor?.generation, 2)

  writeFileSync(project.path('plugin.mjs'), "throw new Error('no database')")
  const failed = await project.run(['reload', '--pid-file', project.pidFile])
  t.not(failed.code, 0)
  t.match(failed.output, /no database/)
  t.match(await answer(url), { is: 'new' })
  t.equal((await project.run(['stop', '--pid-file', project.pidFile])).code, 0)
})

test('restart replaces the supervisor and its workers, with the control socket handed over', async t => {
  const project = new Project(t)
  const child = project.begin(['start', 'plugin.mjs', '--workers', '1', '--drain-restart-idle-window', '50', '--pid-file', project.pidFile])
  const before = await project.serving(child)
  t.equal((await project.run(['restart', '--pid-file', project.pidFile])).code, 0)
  const after = await requestControl(`${project.pidFile}.sock`, 'status') as EngineStatus
  t.not(after.pid, before.pid)
  t.not(after.workers?.[0]?.pid, before.workers?.[0]?.pid)
  t.same(after.urls, before.urls)
  t.equal(Number(readFileSync(project.pidFile, 'utf8')), after.pid)
  t.equal((await project.run(['stop', '--pid-file', project.pidFile])).code, 0)
})

test('workers of root are the target user, the supervisor stays root, and the log is theirs', { skip: needsRoot() }, async t => {
  const project = new Project(t)
  const log = project.path('app.log')
  writeFileSync(project.path('fastkeep.config.json'), JSON.stringify({ workers: 1, user: NOBODY, log, pidFile: project.pidFile }))
  const child = project.begin(['start', 'plugin.mjs'])
  const { urls } = await project.serving(child)
  t.equal((await answer(String(urls[0]))).uid, NOBODY)
  t.match(readFileSync(`/proc/${child.pid}/status`, 'utf8'), /^Uid:\t0\t/m)
  t.equal((await project.run(['graceful'])).code, 0)
  t.match(readFileSync(log, 'utf8'), new RegExp(`"pid":${child.pid},.*"msg":"Bus STARTED"`))
  t.match(readFileSync(log, 'utf8'), /"msg":"incoming request"/)
  t.equal((await project.run(['stop'])).code, 0)
})

test('a worker that cannot start ends the start with its own exit code', async t => {
  const project = new Project(t)
  rmSync(project.path('plugin.mjs'))
  const { code, output } = await project.run(['start', 'plugin.mjs', '--workers', '1'])
  t.equal(code, 78)
  t.match(output, /no such file/)
  writeFileSync(project.path('plugin.mjs'), "throw new Error('no database')")
  t.match((await project.run(['start', 'plugin.mjs', '--workers', '1'])).output, /Error: no database\n +at file:.*plugin\.mjs:1:7\n/, 'with its stack')
  writeFileSync(project.path('plugin.mjs'), 'const = 1')
  t.match((await project.run(['start', 'plugin.mjs', '--workers', '1'])).output, /Unexpected token '='; "node \/.*\/plugin\.mjs" shows the place/)
  t.equal((await project.run(['start', 'plugin.cjs', '--workers', '2', '--watch'])).code, 64)
})
