import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Test } from 'tap'
import { findEntry } from '../../packages/engine/src/plugins/users.js'
import { Child, plainEnvironment } from '../child.js'
import { needs, needsRoot } from '../programs.js'

const service = fileURLToPath(new URL('fixtures/privileged-service.js', import.meta.url))
const SERVING = /serving (http:\/\/127\.0\.0\.1:\d+)/
export const NO_CAPABILITIES = '0000000000000000'
export const SHADOW_GROUP = 42

/** The user that every system has, and the groups that the system gives it. */
export const nobody = (([, , uid, gid]) => ({ uid: Number(uid), gid: Number(gid) }))(findEntry(readFileSync('/etc/passwd', 'utf8'), 'nobody') as string[])
export const nobodyGroups = execFileSync('id', ['-G', 'nobody'], { encoding: 'utf8' }).trim().split(' ').map(Number).sort((a, b) => a - b).join(' ')

interface Identity {
  threads: number
  Uid: string[]
  Gid: string[]
  Groups: string[]
  CapPrm: string[]
  CapEff: string[]
  CapAmb: string[]
  waysBack: string[]
  canSetGroups: boolean
  umask: number
  environment: Array<string | null>
  shadow: { main: string, pool: string, worker: string }
}

interface Start {
  env?: NodeJS.ProcessEnv
  /** What runs it, e.g. `['setpriv', '--securebits', ...]`. */
  through?: readonly string[]
  as?: { uid: number, gid: number }
}

export function start (t: Test, options: object, { env = {}, through = [], as }: Start = {}): Child {
  const [command, ...args] = [...through, process.execPath, service]
  return new Child(t, command as string, args, {
    env: { ...plainEnvironment(), OPTIONS: JSON.stringify(options), ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
    ...as,
  })
}

export async function identityOf (child: Child): Promise<Identity> {
  const url = (await child.match(SERVING))[1] as string
  return await (await fetch(url)).json() as Identity
}

/** Ends with that code before anything was served; what stood on standard error. */
export async function refusal (t: Test, child: Child, code: number): Promise<string> {
  t.same(await child.ended, { code, signal: null }, child.output)
  t.notMatch(child.output, SERVING)
  const lines = child.output.split('\n').filter(line => line.startsWith('fastkeep: '))
  t.equal(lines.length, 1, 'one line says why')
  return lines.join('\n')
}

export function directory (t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'drop-privileges-'))
  chmodSync(path, 0o755)
  t.teardown(() => rmSync(path, { recursive: true }))
  return path
}

/** A port that only root may bind and that nobody has. */
export async function freeLowPort (): Promise<number> {
  for (let port = 1023; port > 600; port--) {
    const server = net.createServer()
    const isFree = await new Promise(resolve => server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true)))
    if (isFree !== true) continue
    server.close()
    await once(server, 'close')
    return port
  }
  throw new Error('no free port below 1024')
}

export function isRefused (port: number): Promise<boolean> {
  const socket = net.connect(port, '127.0.0.1')
  return new Promise(resolve => {
    socket.once('connect', () => resolve(false)).once('error', () => resolve(true))
  }).then(refused => {
    socket.destroy()
    return refused as boolean
  })
}

/** The first answer that a port gives, asked for over and over from now on. */
export async function firstAnswer (port: number, signal: AbortSignal): Promise<Identity> {
  while (!signal.aborted) {
    try {
      const request = http.get({ port, host: '127.0.0.1', agent: false })
      const [response] = await once(request, 'response') as [http.IncomingMessage]
      return JSON.parse((await response.setEncoding('utf8').toArray()).join('')) as Identity
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') throw error
    }
  }
  throw new Error('no answer in time')
}

export function isNobody (t: Test, identity: Identity): void {
  t.match(identity, {
    Uid: [Array(4).fill(nobody.uid).join(' ')],
    Gid: [Array(4).fill(nobody.gid).join(' ')],
    Groups: [nobodyGroups],
    CapPrm: [NO_CAPABILITIES],
    CapEff: [NO_CAPABILITIES],
    CapAmb: [NO_CAPABILITIES],
    waysBack: [],
    canSetGroups: false,
  })
  for (const field of ['Uid', 'Gid', 'Groups', 'CapPrm', 'CapEff', 'CapAmb', 'waysBack'] as const) {
    t.equal(identity[field].length, field === 'waysBack' ? 0 : 1, `${field} is the same in all threads`)
  }
}

/** Where mounting is denied, as in most containers, the system's user database cannot be exchanged for one process. */
export function needsMounts (): string | false {
  const missing = needsRoot() || needs('unshare')
  if (missing !== false) return missing
  const { status } = spawnSync('unshare', ['--mount', 'sh', '-c', 'mount --bind /etc/group /etc/group'])
  return status === 0 ? false : 'mounting is denied here'
}
