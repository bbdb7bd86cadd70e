import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import http, { type IncomingMessage } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { readPIDFile } from '@fastkeep/engine'
import { type Child, runNode } from '../child.js'

const fixture = new URL('fixtures/killed-at.js', import.meta.url)
const isRoot = process.getuid?.() === 0
const NOBODY = 65_534

/** Just before, or after, what stands there by default. */
const PLACES: Readonly<Record<string, string>> = {
  'before the PID file': 'start 69.5',
  'after the PID file': 'start 70.5',
  'after the control socket, before the bind': 'start 74.5',
  'after the bind': 'start 75.5',
  'after the drop of privileges, before the listen': 'start 79.5',
  'after the listen': 'start 80.5',
  'before others are told': 'ready 94.5',
  'after all are told': 'ready 98.5',
}

interface Place {
  readonly folder: string
  /** On the same port or path, with the same PID file. */
  readonly start: (t: Test, env?: NodeJS.ProcessEnv) => Child
}

function place (t: Test, address: NodeJS.ProcessEnv, folder: string): Place {
  // As a service manager makes /run/app.
  if (isRoot) chownSync(folder, NOBODY, NOBODY)
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const env = { ...address, FASTKEEP_PID_FILE: join(folder, 'app.pid'), ...isRoot && { FASTKEEP_USER: 'nobody' } }
  return { folder, start: (t, more = {}) => runNode(t, fixture, { ...env, ...more }) }
}

async function onPort (t: Test): Promise<Place & { port: number }> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return { port, ...place(t, { FASTKEEP_PORT: String(port) }, mkdtempSync(join(tmpdir(), 'fastkeep-killed-'))) }
}

function onSocket (t: Test): Place & { socketPath: string } {
  const folder = mkdtempSync(join(tmpdir(), 'fastkeep-killed-'))
  const socketPath = join(folder, 'app.sock')
  return { socketPath, ...place(t, { FASTKEEP_PATH: socketPath }, folder) }
}

async function pidThatAnswers (address: { port: number } | { socketPath: string }): Promise<number> {
  const [response] = await once(http.get({ host: '127.0.0.1', ...address, agent: false }), 'response') as [IncomingMessage]
  let body = ''
  for await (const chunk of response) body += String(chunk)
  return Number(body)
}

test('SIGKILL at any place of a start leaves a state from which the next start serves and ends with nothing left', async t => {
  await Promise.all(Object.entries(PLACES).map(async ([name, KILLED_AT], index) => {
    const { folder, start, ...address } = index % 2 === 0 ? await onPort(t) : onSocket(t)
    const killed = start(t, { KILLED_AT })
    t.same(await killed.ended, { code: null, signal: 'SIGKILL' }, name)
    const next = start(t)
    await next.match(/serving/)
    t.equal(await pidThatAnswers(address), next.pid, name)
    next.kill('SIGTERM')
    t.same(await next.ended, { code: 0, signal: null }, name)
    t.same(readdirSync(folder), [], `${name}: nothing is left`)
  }))
})

test('SIGKILL of a daemon at a place of its start is told by its launcher, and the next launch serves', async t => {
  await Promise.all(['after the PID file', 'after the listen', 'after all are told'].map(async name => {
    const { folder, start, ...address } = await onPort(t)
    const killed = start(t, { FASTKEEP_DAEMON: 'true', KILLED_AT: PLACES[name] })
    const isReady = name === 'after all are told'
    t.same(await killed.ended, { code: isReady ? 0 : 137, signal: null }, name)
    const pidFile = join(folder, 'app.pid')
    if (isReady) await gone(pidFile)
    await servesAndEnds(t, start(t, { FASTKEEP_DAEMON: 'true' }), address, folder)
  }))
})

test('SIGKILL of the launcher before its daemon is ready ends the daemon, and the next launch serves', async t => {
  const { folder, start, ...address } = await onPort(t)
  const launcher = start(t, { FASTKEEP_DAEMON: 'true', HELD_AT: 'start 70.5' })
  const pidFile = join(folder, 'app.pid')
  while (!existsSync(pidFile)) await delay(5)
  const daemon = Number(readFileSync(pidFile, 'utf8'))
  launcher.kill('SIGKILL')
  t.same(await launcher.ended, { code: null, signal: 'SIGKILL' })
  await ended(daemon)
  await servesAndEnds(t, start(t, { FASTKEEP_DAEMON: 'true' }), address, folder)
})

async function servesAndEnds (t: Test, launcher: Child, address: { port: number }, folder: string): Promise<void> {
  t.same(await launcher.ended, { code: 0, signal: null })
  const pid = Number(launcher.output)
  t.equal(await pidThatAnswers(address), pid)
  process.kill(pid, 'SIGTERM')
  await ended(pid)
  t.same(readdirSync(folder), [], 'nothing is left')
}

/** A daemon is nobody's child, and its end cannot be awaited by an event. */
async function ended (pid: number): Promise<void> {
  while (isThere(pid)) await delay(5)
}

function isThere (pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function gone (pidFile: string): Promise<void> {
  while (readPIDFile(pidFile).state === 'running') await delay(5)
}
