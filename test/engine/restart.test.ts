import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test, type Test } from 'tap'
import { readPIDFile } from '@fastkeep/engine'
import { createDevelopmentCertificate } from '@fastkeep/tls-context'
import { failedIn } from '../../bench/load/client.js'
import { type Child, runNode } from '../child.js'
import { needsRoot } from '../programs.js'
import { LOADS, underLoad } from './under-load.js'

const restartable = new URL('fixtures/restartable.js', import.meta.url)

interface Service {
  first: Child
  port: number
  /** The pid of the process that serves now. */
  pid: () => number
  /** Has the present process restart, and resolves with the pid that serves then. */
  restart: (generation: string) => Promise<number>
  deploy: (generation: string) => void
}

async function service (t: Test, env: NodeJS.ProcessEnv = {}): Promise<Service> {
  const folder = mkdtempSync(join(tmpdir(), 'fastkeep-restart-'))
  const GENERATION = join(folder, 'generation')
  writeFileSync(GENERATION, '0')
  chmodSync(folder, 0o755)
  const first = runNode(t, restartable, { GENERATION, ...env })
  const [, pid, port] = await first.match(/serving (\d+) generation 0 on (?:https?:\/\/127\.0\.0\.1:(\d+)|unix:\S+)\n/) as unknown as [string, string, string | undefined]
  let present = Number(pid)
  t.teardown(() => {
    killIfThere(present)
    rmSync(folder, { recursive: true })
  })
  const deploy = (generation: string): void => writeFileSync(GENERATION, generation)
  return {
    first,
    port: Number(port),
    pid: () => present,
    deploy,
    restart: async generation => {
      deploy(generation)
      process.kill(present, 'SIGHUP')
      const [line, pid] = await first.match(new RegExp(`serving (\\d+) generation ${generation} on|error: .*`))
      if (pid === undefined) throw new Error(line)
      present = Number(pid)
      return present
    },
  }
}

/** Whether every user may run a program at this path. */
function isForAll (path: string): boolean {
  return (statSync(path).mode & 0o001) !== 0 && (path === '/' || isForAll(dirname(path)))
}

function killIfThere (pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

async function answer (port: number, path = '/'): Promise<{ generation: string, pid: number }> {
  return await (await fetch(`http://127.0.0.1:${port}${path}`)).json() as { generation: string, pid: number }
}

test('SIGHUP replaces a process by the new version of its program, on the same port, and ends with code 0', async t => {
  const { first, port, restart } = await service(t)
  const old = first.pid
  t.equal((await answer(port)).generation, '0')
  const pid = await restart('1')
  t.not(pid, old)
  await first.match(new RegExp(`exit ${old}\\n`))
  t.same(await answer(port), { generation: '1', pid, uid: process.getuid?.() })
})

test('a request that is under way is answered by the old version, the next one by the new one', async t => {
  const { first, port, restart } = await service(t)
  const slow = answer(port, '/slow')
  await first.match(/slow begun/)
  const pid = await restart('1')
  await first.match(new RegExp(`accepts no more ${first.pid}\\n`))
  t.same(await slow, { generation: '0' })
  // A connection of its own: one that is idle may still be the old process's.
  const [response] = await once(http.get({ port, agent: false }), 'response') as [http.IncomingMessage]
  t.match(JSON.parse((await response.setEncoding('utf8').toArray()).join('')), { generation: '1', pid })
  await first.match(/exit \d+/)
})

test('a successor that throws, fails to start, or is not ready in time changes nothing, and the log says why', async t => {
  for (const [generation, why, TIMEOUT] of [
    ['throws', /the restart failed, this process goes on serving: the successor ended with code 1/, '60000'],
    ['fails', /the successor says: "start" failed in anonymous: no database for this version/, '60000'],
    ['hangs', /the successor was not ready within 1500 ms/, '1500'],
  ] as const) {
    const { first, port, pid, deploy } = await service(t, { TIMEOUT })
    deploy(generation)
    process.kill(pid(), 'SIGUSR2')
    await first.match(why)
    t.same(await answer(port), { generation: '0', pid: first.pid, uid: process.getuid?.() })
    first.kill('SIGTERM')
    t.same((await first.ended).code, 0, 'no successor holds the output open')
  }
})

test('a successor that fails at the last moment leaves the unix socket to the process that serves', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'fastkeep-socket-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'app.sock')
  const { first, deploy } = await service(t, { PATH_OF_SOCKET: path })
  deploy('late')
  first.kill('SIGHUP')
  await first.match(/error: .*the successor says: .*fails at the last moment/)
  const [response] = await once(http.get({ socketPath: path, agent: false }), 'response') as [http.IncomingMessage]
  t.equal(response.resume().statusCode, 200)
})

for (const [who, user, skip] of [
  ['a process', undefined, false],
  ['a process that has dropped its privileges', 'nobody', needsRoot() || (!isForAll(process.execPath) && 'nobody else may run this Node')],
] as const) {
  test(`a successor that fails at the last moment leaves ${who} its PID file, with no moment in which it is not there`, { skip }, async t => {
    const folder = mkdtempSync(join(tmpdir(), 'fastkeep-pid-'))
    chmodSync(folder, 0o755)
    t.teardown(() => rmSync(folder, { recursive: true }))
    const path = join(folder, 'app.pid')
    const { first, deploy } = await service(t, { FASTKEEP_PID_FILE: path, ...user === undefined ? {} : { FASTKEEP_USER: user } })
    deploy('late')
    let isMissing = false
    const look = setInterval(() => { isMissing ||= !existsSync(path) }, 1)
    t.teardown(() => clearInterval(look))
    first.kill('SIGHUP')
    await first.match(/error: .*the successor says: .*fails at the last moment/)
    t.equal(isMissing, false)
    t.equal(readFileSync(path, 'utf8'), `${first.pid}\n`)
    t.match(readPIDFile(path), { state: 'running', pid: first.pid })
  })
}

test('a stray note in the environment is passed over', async t => {
  for (const FASTKEEP_HANDOVER of ['x', 'null', '{}', `{"parent":${process.pid},"channel":0,"draining":[],"sockets":[],"descriptors":{}}`]) {
    const child = runNode(t, restartable, { FASTKEEP_HANDOVER, GENERATION: fileURLToPath(new URL('fixtures/generation.txt', import.meta.url)) })
    await child.match(/serving/)
    child.kill('SIGTERM')
    t.match(await child.ended, { code: 0 }, FASTKEEP_HANDOVER)
  }
})

test('a stop while a successor starts calls the restart off and leaves nobody behind', async t => {
  const { first, deploy } = await service(t)
  deploy('hangs')
  first.kill('SIGHUP')
  const child = await new Promise<string>(resolve => {
    const look = (): void => {
      const [pid] = readFileSync(`/proc/${first.pid}/task/${first.pid}/children`, 'utf8').trim().split(' ')
      if (pid === undefined || pid === '') setImmediate(look)
      else resolve(pid)
    }
    look()
  })
  first.kill('SIGTERM')
  await first.ended
  t.equal(existsSync(`/proc/${child}`), false)
  t.match(first.output, /it was called off by a stop/)
})

test('a restart is refused while a second engine runs in the process, which it would take down', async t => {
  const child = runNode(t, new URL('fixtures/two-engines.js', import.meta.url))
  t.same(await child.ended, { code: 0, signal: null })
  t.match(child.output, /FST_KEEP_ENGINE_RESTART_FAILED .*another engine runs in this process/)
  t.match(child.output, /still STARTED STARTED/)
})

test('at most two generations drain: a third restart waits for the oldest and cuts nobody', async t => {
  const { first, port, restart } = await service(t, { IDLE_WINDOW: '3000' })
  const agents: http.Agent[] = []
  const holdIdle = async (): Promise<void> => {
    const agent = new http.Agent({ keepAlive: true })
    agents.push(agent)
    const [response] = await once(http.get({ port, agent }), 'response') as [http.IncomingMessage]
    response.resume()
    await once(response, 'end')
  }
  await holdIdle()
  for (const generation of ['1', '2']) {
    await restart(generation)
    await holdIdle()
  }
  t.notMatch(first.output, 'exit', 'two generations drain')
  await restart('3')
  t.match(first.output, new RegExp(`exit ${first.pid}\\n[^]*generation 3`), 'the third restart waited for the first of them')
  for (const agent of agents) agent.destroy()
})

test('a unix socket passes from process to process, and the last one removes it', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'fastkeep-socket-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'app.sock')
  const { first, pid, restart } = await service(t, { PATH_OF_SOCKET: path })
  const old = first.pid
  await restart('1')
  await first.match(new RegExp(`exit ${old}\\n`))
  const request = http.get({ socketPath: path, path: '/' })
  const [response] = await once(request, 'response') as [http.IncomingMessage]
  let body = ''
  for await (const chunk of response.setEncoding('utf8')) body += String(chunk)
  t.match(JSON.parse(body), { generation: '1', pid: pid() })
  process.kill(pid(), 'SIGTERM')
  await first.ended
  t.equal(existsSync(path), false)
})

test('a restart at the very moment when an older process ends hands no connection of a client to the successor', async t => {
  const { first, port, pid, restart, deploy } = await service(t)
  await restart('1')
  const present = pid()
  const agent = new http.Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const ask = async (): Promise<unknown> => {
    const [response] = await once(http.get({ port, agent, signal: AbortSignal.timeout(10_000) }), 'response') as [http.IncomingMessage]
    response.resume()
    return await once(response, 'end')
  }
  await first.match(new RegExp(`exit ${first.pid}\\n`))
  // Frozen, it hears in one turn of its event loop of the older one's end, of connections and of the next restart.
  process.kill(present, 'SIGSTOP')
  await first.exited
  const asked = [ask(), ask(), ask()]
  await delay(20)
  deploy('2')
  process.kill(present, 'SIGHUP')
  asked.push(ask(), ask(), ask())
  await delay(20)
  process.kill(present, 'SIGCONT')
  for (let count = 0; count < 100; count++) {
    asked.push(ask())
    await new Promise(resolve => setImmediate(resolve))
  }
  const [, successor] = await first.match(/serving (\d+) generation 2 on/) as unknown as [string, string]
  t.teardown(() => killIfThere(Number(successor)))
  await Promise.all(asked)
  t.equal((await Promise.all(asked.map(ask))).length, 106, 'the connections are still answered')
})

const RESTARTS = 4

for (const [name, options] of Object.entries(LOADS)) {
  test(`under load, ${name}: restarts lose nothing`, async t => {
    const { port, restart } = await service(t)
    const report = await underLoad(t, { host: '127.0.0.1', port, ...options })
    for (let generation = 1; generation <= RESTARTS; generation++) await restart(String(generation))
    const counted = await report()
    t.comment(JSON.stringify(counted))
    t.ok(counted.ok > 50, 'there was a load')
    t.equal(failedIn(counted), 0, JSON.stringify(counted))
  })
}

test('under load, TLS: restarts lose nothing', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'fastkeep-tls-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const { ca } = await createDevelopmentCertificate({ directory: folder })
  const { port, restart } = await service(t, { TLS_FILES: folder })
  const report = await underLoad(t, { host: '127.0.0.1', port, kind: 'think', think: 200, connections: 16, ca: readFileSync(ca, 'utf8') })
  for (let generation = 1; generation <= RESTARTS; generation++) await restart(String(generation))
  const counted = await report()
  t.ok(counted.ok > 50, 'there was a load')
  t.equal(failedIn(counted), 0, JSON.stringify(counted))
})

test('control: the same load sees what a plain app.close() loses', async t => {
  const child = runNode(t, new URL('fixtures/plain-close.js', import.meta.url))
  const port = Number((await child.match(/serving (\d+)/))[1])
  const report = await underLoad(t, { host: '127.0.0.1', port, kind: 'keep-alive', connections: 8 })
  child.kill('SIGTERM')
  await child.ended
  t.ok(failedIn(await report()) > 0)
})
