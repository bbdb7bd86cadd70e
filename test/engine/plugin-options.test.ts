import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { readPIDFile } from '@fastkeep/engine'
import { runNode } from '../child.js'
import { needsRoot } from '../programs.js'

const fixture = new URL('fixtures/plugin-options.js', import.meta.url)
const NOBODY = 65_534

function scratch (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'fastkeep-options-'))
  // As /run/app would be: others can look, not write.
  chmodSync(folder, 0o755)
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Ends a daemon, and waits until its PID file is gone. */
async function stopDaemon (pidFile: string): Promise<void> {
  process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGTERM')
  while (existsSync(pidFile)) await delay(10)
}

test('options come from the environment: a PID file that is there while the service is', async t => {
  const pidFile = join(scratch(t), 'app.pid')
  const child = runNode(t, fixture, { FASTKEEP_PID_FILE: pidFile })
  await child.match(/serving/)
  t.match(readPIDFile(pidFile), { state: 'running', pid: child.pid })
  const second = runNode(t, fixture, { FASTKEEP_PID_FILE: pidFile })
  t.match(await second.ended, { code: 73 })
  t.match(second.output, new RegExp(`cannot start: PIDFile: .*${child.pid}`))
  child.kill('SIGTERM')
  t.match(await child.ended, { code: 0 })
  t.equal(existsSync(pidFile), false)
})

test('options come from a file that the environment names', async t => {
  const folder = scratch(t)
  const config = join(folder, 'service.json')
  writeFileSync(config, JSON.stringify({ path: join(folder, 'app.sock') }))
  const child = runNode(t, fixture, { FASTKEEP_CONFIG: config })
  await child.match(new RegExp(`serving \\d+ on unix:${join(folder, 'app.sock')}`))
})

test('a variable that is wrong ends the start with 78 and names the nearest', async t => {
  const child = runNode(t, fixture, { FASTKEEP_PROT: '80' })
  t.match(await child.ended, { code: 78 })
  t.match(child.output, /FASTKEEP_PROT.*FASTKEEP_PORT/)
})

test('a PID file goes from process to process in a restart, without a moment in which it is not there', async t => {
  const pidFile = join(scratch(t), 'app.pid')
  const child = runNode(t, fixture, { FASTKEEP_PID_FILE: pidFile })
  await child.match(/serving/)
  let isMissing = false
  const look = setInterval(() => { isMissing ||= !existsSync(pidFile) }, 1)
  t.teardown(() => clearInterval(look))
  child.kill('SIGHUP')
  await child.match(new RegExp(`exit ${child.pid}\\n`))
  const successor = Number(readFileSync(pidFile, 'utf8'))
  t.not(successor, child.pid)
  t.equal(isMissing, false)
  t.match(readPIDFile(pidFile), { state: 'running', pid: successor })
  clearInterval(look)
  process.kill(successor, 'SIGTERM')
  await child.ended
  t.equal(existsSync(pidFile), false)
})

test('daemon: the launcher returns when the service serves, though Fastify has given up on the registration', async t => {
  const pidFile = join(scratch(t), 'app.pid')
  const launcher = runNode(t, fixture, { FASTKEEP_DAEMON: '1', FASTKEEP_PID_FILE: pidFile, PLUGIN_TIMEOUT: '300', SLOW_START: '1200' })
  t.same(await launcher.ended, { code: 0, signal: null })
  t.equal(launcher.output.trim(), readFileSync(pidFile, 'utf8').trim())
  await stopDaemon(pidFile)
})

test('daemon: it must be the first registration', async t => {
  const launcher = runNode(t, fixture, { FASTKEEP_DAEMON: '1', FIRST: 'cookie' })
  t.match(await launcher.ended, { code: 78 })
  t.match(launcher.output, /with the option "daemon" it must be registered before anything else, there was @fastify\/cookie/)
})

test('as root: a low port, a PID file of root\'s and another user go together, over a restart too', { skip: needsRoot() }, async t => {
  const pidFile = join(scratch(t), 'app.pid')
  const child = runNode(t, fixture, { FASTKEEP_PORT: '97', FASTKEEP_USER: 'nobody', FASTKEEP_UMASK: '077', FASTKEEP_PID_FILE: pidFile })
  await child.match(/serving/)
  t.match(await (await fetch('http://127.0.0.1:97')).json(), { pid: child.pid, uid: NOBODY, umask: 0o077 })
  child.kill('SIGUSR2')
  await child.match(new RegExp(`exit ${child.pid}\\n`))
  const { pid, uid } = await (await fetch('http://127.0.0.1:97')).json() as { pid: number, uid: number }
  t.not(pid, child.pid)
  t.equal(uid, NOBODY)
  t.equal(Number(readFileSync(pidFile, 'utf8')), pid)
  process.kill(pid, 'SIGTERM')
  await child.ended
  t.equal(readPIDFile(pidFile).state === 'running', false)
})

test('as root: a unix socket belongs to the user who serves it', { skip: needsRoot() }, async t => {
  const path = join(scratch(t), 'app.sock')
  const child = runNode(t, fixture, { FASTKEEP_PATH: path, FASTKEEP_USER: 'nobody' })
  await child.match(/serving/)
  const owner = await new Promise<string>((resolve, reject) => execFile('stat', ['-c', '%u', path], (error, stdout) => { if (error === null) resolve(stdout.trim()); else reject(error) }))
  t.equal(Number(owner), NOBODY)
  const [response] = await once(http.get({ socketPath: path, agent: false }), 'response') as [http.IncomingMessage]
  t.equal(response.resume().statusCode, 200)
  // The user may not even look for it any more.
  chmodSync(dirname(path), 0o700)
  child.kill('SIGTERM')
  t.match(await child.ended, { code: 0 })
})

test('SIGQUIT cuts at once and says so', async t => {
  const child = runNode(t, new URL('fixtures/service.js', import.meta.url))
  const [, url] = await child.match(/serving (\S+)/) as unknown as [string, string]
  const answer = fetch(`${url}/slow?ms=60000`)
  await child.match(/slow begun/)
  child.kill('SIGQUIT')
  await t.rejects(answer)
  t.match(await child.ended, { code: 70 })
  t.match(child.output, /SIGQUIT cut 1 request: GET \/slow/)
})
