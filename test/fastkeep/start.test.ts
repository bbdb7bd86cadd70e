import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { isHeldBy } from '@fastkeep/engine'
import { Project } from './project.js'

async function json (url: string): Promise<Record<string, unknown>> {
  return await (await fetch(url)).json() as Record<string, unknown>
}

for (const app of ['plugin.mjs', 'plugin.cjs', 'wrapped.mjs', 'instance.mjs', 'instance.cjs', 'factory.mjs', 'factory.cjs', 'promise.mjs', 'own-engine.mjs']) {
  test(`start serves ${app}, and a SIGTERM ends it with 0`, async t => {
    const project = new Project(t)
    const socket = project.path('http.sock')
    const child = project.begin(['start', app, '--socket', socket, '--pid-file', project.pidFile])
    t.match(await project.serving(child), { state: 'STARTED', pid: child.pid, urls: [`unix:${socket}`] })
    child.kill('SIGTERM')
    t.same(await child.ended, { code: 0, signal: null })
  })
}

test('a plugin gets an instance with its own options, the limits of the engine, and the engine registered', async t => {
  const { url } = await new Project(t).start('plugin.mjs')
  t.match(await json(url), { app: 'plugin', state: 'STARTED' })
  const tooLarge = await fetch(url, { method: 'POST', body: JSON.stringify('x'.repeat(200)), headers: { 'content-type': 'application/json' } })
  t.equal(tooLarge.status, 413)
})

test('a factory gets the options that an instance should have', async t => {
  const { url } = await new Project(t).start('factory.mjs')
  t.same(await json(url), { app: 'factory', bodyLimit: 1_048_576 })
})

test('an app with an engine of its own keeps it, with the flags and the file as its environment while it loads', async t => {
  const project = new Project(t)
  writeFileSync(project.path('fastkeep.config.json'), JSON.stringify({ pidFile: project.pidFile, logLevel: 'info', drain: { deadline: 4000 } }))
  const child = project.begin(['start', 'own-engine.mjs', '--port', '0', '--host', 'localhost'])
  const { urls } = await project.serving(child)
  t.ok(urls.some(url => url.startsWith('http://127.0.0.1:')))
  t.same(await json(urls[0] as string), { app: 'own-engine', drain: 50, variable: 'unset' })
  t.equal((await project.run(['stop'])).code, 0)
  t.same(await child.ended, { code: 0, signal: null })
})

test('flags beat the environment, which beats the file of the working directory', async t => {
  const project = new Project(t)
  writeFileSync(project.path('fastkeep.config.json'), JSON.stringify({ host: '127.0.0.3', port: 0, logLevel: 'debug', pidFile: project.pidFile }))
  const byFile = project.begin(['start', 'plugin.mjs'])
  await byFile.match(/Serving on http:\/\/127\.0\.0\.3:/)
  byFile.kill('SIGTERM')
  await byFile.ended
  const byVariable = project.begin(['start', 'plugin.mjs'], { env: { FASTKEEP_HOST: '127.0.0.4' } })
  await byVariable.match(/Serving on http:\/\/127\.0\.0\.4:/)
  byVariable.kill('SIGTERM')
  await byVariable.ended
  const byFlag = project.begin(['start', 'plugin.mjs', '--host', '127.0.0.5'], { env: { FASTKEEP_HOST: '127.0.0.4' } })
  await byFlag.match(/Serving on http:\/\/127\.0\.0\.5:/)
})

test('--log writes to a file, which graceful opens again, --log-level says from which level on', async t => {
  const project = new Project(t)
  const log = project.path('app.log')
  const child = project.begin(['start', 'plugin.mjs', '--log', log, '--log-level', 'debug', '--pid-file', project.pidFile])
  await project.serving(child)
  t.equal(child.output, '')
  t.match(readFileSync(log, 'utf8'), 'Serving on')
  writeFileSync(project.path('moved.log'), '')
  t.equal((await project.run(['graceful', '--pid-file', project.pidFile])).code, 0)
  child.kill('SIGTERM')
  t.equal((await child.ended).code, 0)
})

test('--daemon ends with the pid of a daemon that serves, or with the outcome of a start that failed', async t => {
  const project = new Project(t)
  const { code, output } = await project.run(['start', 'plugin.mjs', '--daemon', '--pid-file', project.pidFile])
  t.equal(code, 0)
  t.ok(isHeldBy(project.pidFile, Number(output)))
  t.equal((await project.run(['start', 'plugin.mjs', '--daemon', '--pid-file', project.pidFile])).code, 73)
  t.equal((await project.run(['stop', '--pid-file', project.pidFile])).code, 0)
})

test('--watch reloads when a file of the app changes', async t => {
  const project = new Project(t)
  const { child } = await project.start('plugin.mjs', ['--watch'])
  // It watches a little later than it serves.
  await project.serving(child)
  writeFileSync(project.path('plugin.mjs'), readFileSync(project.path('plugin.mjs'), 'utf8').replaceAll("app: 'plugin'", "app: 'changed'"))
  await child.match(/Serving on[^]*Serving on/)
  const [, url] = [...child.output.matchAll(/Serving on (http:[^"\s]+)/g)].at(-1) as unknown as [string, string]
  t.match(await json(url), { app: 'changed' })
  t.equal((await project.run(['stop', '--pid-file', project.pidFile])).code, 0)
})

test('what is no app is refused with 78, the file and what was found in it', async t => {
  const project = new Project(t)
  const cases: Array<[string, string, RegExp]> = [
    ['empty.mjs', 'export const app = 1', /default export must be .* and it is missing/],
    ['number.mjs', 'export default 1', /it is a number/],
    ['object.mjs', 'export default { get () {}, post () {} }', /an object with get, post/],
    ['unclear.mjs', 'export default async function (thing) {}', /one parameter, "thing", .*write \(fastify, options\) for a plugin/],
    ['nothing.mjs', 'export default (options = {}) => {}', /something else than a Fastify instance/],
    ['listens.mjs', "import F from 'fastify'\nconst app = F()\nawait app.listen({ port: 0 })\nexport default app", /listens already/],
    ['ready.mjs', "import F from 'fastify'\nconst app = F()\nawait app.ready()\nexport default app", /ready\(\) already/],
  ]
  for (const [name, text, message] of cases) {
    writeFileSync(project.path(name), text)
    const { code, output } = await project.run(['start', name])
    t.equal(code, 78, name)
    t.match(output, message)
    t.match(output, join(project.directory, name))
  }
  const missing = await project.run(['start', 'missing.mjs'])
  t.equal(missing.code, 78)
  t.match(missing.output, /there is no such file/)
})

test('an app that throws while it is loaded ends the start with 70', async t => {
  const project = new Project(t)
  writeFileSync(project.path('throws.mjs'), "throw new Error('no database')")
  const { code, output } = await project.run(['start', 'throws.mjs'])
  t.equal(code, 70)
  t.match(output, /throws\.mjs failed while it was loaded: no database/)
})

for (const args of [[], ['--workers', '1']]) {
  test(`a log that cannot be written, and a group without a user, end a start of ${args.length === 0 ? 'one process' : 'workers'}`, async t => {
    const project = new Project(t)
    t.match(await project.run(['start', 'plugin.mjs', '--log', 'missing/app.log', ...args]), { code: 73, output: /the log .*missing\/app\.log cannot be opened: ENOENT/ })
    t.match(await project.run(['start', 'plugin.mjs', '--group', '1', ...args]), { code: 78, output: /"group".* a "user", and there is none/ })
  })
}
