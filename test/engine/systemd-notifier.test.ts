import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test, type Test } from 'tap'
import { Child, plainEnvironment, runNode } from '../child.js'
import { needs, needsRoot } from '../programs.js'
import { NotificationReceiver } from './notification-receiver.js'
import { supervisedService } from './supervised-service.js'

const notifying = new URL('fixtures/notifying.js', import.meta.url)
const withDescriptor = fileURLToPath(new URL('fixtures/notify-descriptor.py', import.meta.url))

const WAYS = {
  'a descriptor': { withFd: true, skip: needs('python3') },
  'the program systemd-notify': { withFd: false, skip: needs('python3') || needs('systemd-notify') },
} as const

interface Service {
  systemd: NotificationReceiver
  child: Child
  pid: number
  url: string
  deploy: (generation: string) => void
}

async function service (t: Test, withFd: boolean, env: NodeJS.ProcessEnv = {}): Promise<Service> {
  const systemd = await NotificationReceiver.listen(t)
  const GENERATION = join(systemd.folder, 'generation')
  writeFileSync(GENERATION, '0')
  const all = { ...plainEnvironment(), GENERATION, NOTIFY_SOCKET: systemd.socket, ...env }
  const file = fileURLToPath(notifying)
  const child = withFd
    ? new Child(t, 'python3', [withDescriptor, systemd.socket, process.execPath, file], { env: all })
    : new Child(t, process.execPath, [file], { env: all })
  const [, pid, url] = await child.match(/serving (\d+) on (\S+)\n/) as unknown as [string, string, string]
  return { systemd, child, pid: Number(pid), url, deploy: generation => writeFileSync(GENERATION, generation) }
}

/** A connection that stays open while nothing is asked for. */
async function idleConnection (t: Test, url: string): Promise<void> {
  const agent = new http.Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const [response] = await once(http.get(url, { agent }), 'response') as [http.IncomingMessage]
  await once(response.resume(), 'end')
}

for (const [way, { withFd, skip }] of Object.entries(WAYS)) {
  test(`through ${way}: starting, ready, the progress of the drain, the stop`, { skip }, async t => {
    const { systemd, child, pid, url } = await service(t, withFd)
    t.match(await systemd.get('READY=1'), { pid, lines: ['READY=1', `STATUS=Serving on ${url}`] })
    await idleConnection(t, url)
    child.kill('SIGTERM')
    t.match(await child.ended, { code: 0 })
    t.match(systemd.all.map(({ lines }) => lines), [
      ['STATUS=Starting'],
      ['READY=1', `STATUS=Serving on ${url}`],
      ['STOPPING=1', 'STATUS=Stopping'],
      [/^STATUS=Draining: 1 connections left, [45] s$/],
      ['STATUS=Stopped'],
    ])
    t.same(new Set(systemd.all.map(datagram => datagram.pid)), new Set([pid]), 'all in the name of the service')
  })

  test(`through ${way}: a restart in place is a reload, after which the successor speaks`, { skip }, async t => {
    const { systemd, child, pid, deploy } = await service(t, withFd)
    deploy('1')
    const before = process.hrtime.bigint() / 1_000n
    child.kill('SIGHUP')
    const { lines: [, monotonic] } = await systemd.get('RELOADING=1', pid)
    const microseconds = BigInt((monotonic as string).replace('MONOTONIC_USEC=', ''))
    t.ok(microseconds >= before && microseconds <= process.hrtime.bigint() / 1_000n, 'on the clock of the service manager')
    const { lines } = await systemd.get('MAINPID=', pid)
    const successor = Number((lines[0] as string).replace('MAINPID=', ''))
    t.match(lines, [/^MAINPID=\d+$/, 'READY=1', /^STATUS=Serving/])
    await child.match(new RegExp(`exit ${pid}\\n`))
    process.kill(successor, 'SIGTERM')
    await systemd.get('STOPPING=1', successor)
    await child.ended
    t.same(systemd.all.filter(({ lines }) => lines.includes('STOPPING=1')).map(({ pid }) => pid), [successor], 'the old one does not stop the service')
  })

  test(`through ${way}: a restart that fails leaves the service ready`, { skip }, async t => {
    const { systemd, child, pid, deploy, url } = await service(t, withFd)
    for (const [generation, count] of [['fails', 1], ['late', 2]] as const) {
      deploy(generation)
      child.kill('SIGHUP')
      await child.match(new RegExp(`(?:SIGHUP failed[^]*){${count}}`))
    }
    const after = systemd.all.slice(2)
    t.match(after.map(({ lines }) => lines[0]), ['RELOADING=1', 'READY=1', 'RELOADING=1', 'READY=1'])
    t.match(after[3], { lines: ['READY=1', `STATUS=Serving on ${url}; the last restart failed`] })
    t.ok(after.every(datagram => datagram.pid === pid), 'the successors said nothing')
  })

  test(`through ${way}: reading its files again is a reload`, { skip }, async t => {
    const { systemd, child, url } = await service(t, withFd)
    child.kill('SIGUSR1')
    await child.match(/graceful/)
    await systemd.get('RELOADING=1')
    t.match(systemd.all.slice(2).map(({ lines }) => lines), [
      ['RELOADING=1', /^MONOTONIC_USEC=\d+$/, 'STATUS=Reloading'],
      ['READY=1', `STATUS=Serving on ${url}`],
    ])
  })

  test(`through ${way}: the watchdog hears of the service, and of its successor`, { skip }, async t => {
    const { systemd, child, pid, deploy } = await service(t, withFd, { WATCHDOG_USEC: '400000' })
    await systemd.get('WATCHDOG=1', pid)
    deploy('1')
    child.kill('SIGHUP')
    const { lines } = await systemd.get('MAINPID=')
    t.ok(lines.includes('WATCHDOG=1'), 'a full period is left to the successor')
    const successor = Number((lines[0] as string).replace('MAINPID=', ''))
    t.teardown(() => process.kill(successor, 'SIGKILL'))
    await systemd.get('WATCHDOG=1', successor)
  })

  test(`through ${way}: no child of the service can speak for it`, { skip }, async t => {
    const { url } = await service(t, withFd, { WATCHDOG_USEC: '60000000', WATCHDOG_PID: '1' })
    const variables = await (await fetch(`${url}/variables-of-a-child`)).json() as string[]
    t.ok(variables.includes('PATH'))
    t.same(variables.filter(name => /^(NOTIFY|WATCHDOG|LISTEN)_/.test(name)), [])
  })
}

test('a reload of workers is a reload, and what is said is where they serve; one that fails leaves the service ready', { skip: WAYS['the program systemd-notify'].skip }, async t => {
  const systemd = await NotificationReceiver.listen(t)
  const { supervisor, port, deploy } = await supervisedService(t, { workers: 1 }, { NOTIFY_SOCKET: systemd.socket })
  deploy('1')
  supervisor.kill('SIGHUP')
  await supervisor.match(/All 1 workers are new/)
  deploy('fails')
  supervisor.kill('SIGHUP')
  await supervisor.match(/SIGHUP failed/)
  const serving = `STATUS=Serving on http://127.0.0.1:${port}`
  t.match(systemd.all.map(({ lines }) => lines), [
    ['STATUS=Starting'],
    ['READY=1', serving],
    ['RELOADING=1', /^MONOTONIC_USEC=\d+$/],
    ['READY=1', serving],
    ['RELOADING=1'],
    ['READY=1', `${serving}; the last reload failed`],
  ])
})

test('a start that fails does not leave the service starting', { skip: WAYS['the program systemd-notify'].skip }, async t => {
  const systemd = await NotificationReceiver.listen(t)
  const GENERATION = join(systemd.folder, 'generation')
  writeFileSync(GENERATION, 'fails')
  const child = runNode(t, notifying, { NOTIFY_SOCKET: systemd.socket, GENERATION, PATH: process.env.PATH })
  t.match(await child.ended, { code: 70 })
  t.same(systemd.all.map(({ lines }) => lines), [['STATUS=Starting'], ['STATUS=Did not come to serve']])
})

test('a watchdog that was meant for another process hears nothing', { skip: WAYS['a descriptor'].skip }, async t => {
  const { systemd, child, url } = await service(t, true, { WATCHDOG_USEC: '20000', WATCHDOG_PID: '1' })
  await idleConnection(t, url)
  child.kill('SIGTERM')
  await child.ended
  t.ok(systemd.all.some(({ lines }) => lines[0]?.startsWith('STATUS=Draining')), 'more than a second has passed')
  t.notOk(systemd.all.some(({ lines }) => lines.includes('WATCHDOG=1')))
})

const skipUnprivileged = WAYS['the program systemd-notify'].skip || needs('setpriv') || needsRoot()

test('without root each message comes from a program that is still there when it is read', { skip: skipUnprivileged }, async t => {
  const systemd = await NotificationReceiver.listen(t)
  const child = new Child(t, 'setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, fileURLToPath(notifying)], {
    env: { ...plainEnvironment(), NOTIFY_SOCKET: systemd.socket },
  })
  await child.match(/serving/)
  child.kill('SIGTERM')
  await child.ended
  t.match(systemd.all, [{ uid: 65_534 }, { uid: 65_534, lines: ['READY=1'] }, { uid: 65_534, lines: ['STOPPING=1'] }, { uid: 65_534 }])
  t.ok(systemd.all.every(({ isThere }) => isThere))
})

test('where there is no way to tell, one warning says what to do, and the service serves', { skip: needs('python3') }, async t => {
  const systemd = await NotificationReceiver.listen(t)
  const empty = join(systemd.folder, 'bin')
  mkdirSync(empty)
  chmodSync(empty, 0o755)
  const child = runNode(t, new URL('fixtures/notifying-on-path.js', import.meta.url), { NOTIFY_SOCKET: systemd.socket, ONLY_PATH: empty })
  await child.match(/serving/)
  child.kill('SIGTERM')
  t.match(await child.ended, { code: 0 })
  t.equal(child.output.match(/FST_KEEP_ENGINE_NOTIFY_FAILED/g)?.length, 1)
  t.match(child.output, /warn .*there is no program systemd-notify; install systemd's, or pass its socket .*OpenFile=\S+:notify/)
})

test('a descriptor that nobody reads from gives way to the program', { skip: WAYS['the program systemd-notify'].skip }, async t => {
  const [gone, systemd] = [await NotificationReceiver.listen(t), await NotificationReceiver.listen(t)]
  const child = new Child(t, 'python3', [withDescriptor, gone.socket, 'sh', '-c', 'kill -9 $RECEIVER; exec "$0" "$@"', process.execPath, fileURLToPath(notifying)], {
    env: { ...plainEnvironment(), NOTIFY_SOCKET: systemd.socket, RECEIVER: String(gone.pid) },
  })
  await child.match(/serving/)
  t.match(await systemd.get('READY=1'), { lines: ['READY=1'] })
})

test('a bus that stops and starts again goes on, for the service manager; one process speaks for one bus', { skip: WAYS['the program systemd-notify'].skip }, async t => {
  const systemd = await NotificationReceiver.listen(t)
  const child = runNode(t, new URL('fixtures/notifying-bus.js', import.meta.url), { NOTIFY_SOCKET: systemd.socket })
  t.match(await child.ended, { code: 0 })
  t.match(child.output, 'enabled false')
  t.same(systemd.all.map(({ lines }) => lines), [
    ['STATUS=Starting'], ['READY=1', 'STATUS=Started'], ['STATUS=Stopping'],
    ['STATUS=Starting'], ['READY=1', 'STATUS=Started'], ['STOPPING=1', 'STATUS=Stopping'], ['STATUS=Stopped'],
  ])
})

test('a NOTIFY_SOCKET that is no address is passed over', async t => {
  const child = runNode(t, notifying, { NOTIFY_SOCKET: 'relative/path', PATH: process.env.PATH })
  await child.match(/serving/)
  child.kill('SIGTERM')
  t.match(await child.ended, { code: 0 })
  t.notMatch(child.output, 'NOTIFY_FAILED')
})
