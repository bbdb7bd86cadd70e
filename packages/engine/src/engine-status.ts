import { channel as diagnosticsChannel } from 'node:diagnostics_channel'
import { setTimeout as delay } from 'node:timers/promises'
import type { State } from './bus/states.js'
import type { Engine } from './engine.js'
import { format } from './server/address.js'
import type { Server } from './server/server.js'
import type { Supervisor, SupervisorStatus } from './supervisor/supervisor.js'
import type { WorkerStatus } from './supervisor/worker-process.js'

/** What a service says of itself. Any part of it may add to it by `engine.addStatus()`. */
export interface EngineStatus {
  readonly state: State
  readonly pid: number
  /** ms since the process started. */
  readonly uptime: number
  /** Of `@fastkeep/engine`. */
  readonly version: string
  /** Of Node, e.g. `v24.1.0`. */
  readonly node: string
  /** Of a supervisor those of its workers; while none serves, the bare addresses. */
  readonly urls: readonly string[]
  /** Open connections, upgraded ones included. */
  readonly connections: number
  /** Requests since the process started; of a supervisor those of its present workers. */
  readonly requests: number
  /** Bytes of resident memory. */
  readonly memory: number
  /** ms: the longest that a timer was late within the 100 ms before the answer. */
  readonly eventLoopDelay: number
  readonly pidFile?: string
  readonly controlSocket?: string
  /** Of a supervised service. */
  readonly workers?: readonly WorkerStatus[]
  readonly supervisor?: Omit<SupervisorStatus, 'workers'>
  readonly certificates?: ReadonlyArray<{ name: string, expires: string }>
  /** While draining: what is left, and ms until it is cut. */
  readonly draining?: { readonly connections: number, readonly left: number }
  readonly [part: string]: unknown
}

/** ms for which the event loop is watched when somebody asks: nothing runs for it at other times. */
const SAMPLE = 100
const SAMPLE_INTERVAL = 10

const drains = new WeakMap<object, { readonly connections: number, readonly left: number }>()

diagnosticsChannel('fastkeep:engine:drain').subscribe(message => {
  const { bus, connections, left } = message as { bus: object, connections: number, left: number }
  drains.set(bus, { connections, left })
})

const READERS: Readonly<Record<string, (engine: Engine) => unknown>> = {
  state: ({ state }) => state,
  pid: () => process.pid,
  uptime: () => Math.round(process.uptime() * 1_000),
  version: () => (process.getBuiltinModule('node:module').createRequire(import.meta.url)('../package.json') as { version: string }).version,
  node: () => process.version,
  urls: ({ supervisor, server }) => supervisor === undefined ? server.urls : urlsOf(supervisor, server),
  connections: ({ server }) => server.connections,
  requests: ({ supervisor, server }) => supervisor === undefined ? server.requests : sumOf(supervisor.status.workers),
  memory: () => process.memoryUsage.rss(),
  eventLoopDelay: () => measureEventLoopDelay(SAMPLE),
  workers: ({ supervisor }) => supervisor?.workerStatus(),
  supervisor: engine => supervisorOf(engine),
  draining: engine => engine.state === 'STOPPING' ? drains.get(engine) : undefined,
}

/** Told by parts of the engine themselves. */
const PLUGIN_PARTS: ReadonlySet<string> = new Set(['pidFile', 'controlSocket'])

/** Has an engine tell what it knows of itself. */
export function addEngineStatus (engine: Engine): void {
  for (const [name, read] of Object.entries(READERS)) engine.addStatus(name, () => read(engine))
}

export function isEnginePart (name: string): boolean {
  return Object.hasOwn(READERS, name) || PLUGIN_PARTS.has(name)
}

/** A supervisor has no certificates of its own: those of its workers, each once. */
export function withCertificates (status: EngineStatus): EngineStatus {
  const { workers } = status
  if (status.certificates !== undefined || !Array.isArray(workers)) return status
  const certificates = new Map((workers as WorkerStatus[]).flatMap(({ parts }) => certificatesOf(parts?.certificates)).map(one => [`${one.name} ${one.expires}`, one]))
  return certificates.size === 0 ? status : { ...status, certificates: [...certificates.values()] }
}

/** As far as they are what a worker may say: it may be in the hands of an attacker. */
function certificatesOf (told: unknown): Array<{ name: string, expires: string }> {
  return Array.isArray(told) ? told.filter(one => typeof one?.name === 'string' && typeof one.expires === 'string') : []
}

function urlsOf ({ urls }: Supervisor, { sockets }: Server): readonly string[] {
  return urls.length > 0 ? urls : sockets.flatMap(({ address }) => address === undefined ? [] : format(address))
}

function sumOf (workers: readonly WorkerStatus[]): number {
  return workers.reduce((sum, { requests }) => sum + requests, 0)
}

function supervisorOf ({ supervisor }: Engine): EngineStatus['supervisor'] {
  if (supervisor === undefined) return undefined
  const { workers: _workers, ...rest } = supervisor.status
  return rest
}

async function measureEventLoopDelay (duration: number): Promise<number> {
  const end = performance.now() + duration
  let longest = 0
  while (performance.now() < end) {
    const begin = performance.now()
    await delay(SAMPLE_INTERVAL, undefined, { ref: false })
    longest = Math.max(longest, performance.now() - begin - SAMPLE_INTERVAL)
  }
  return Math.round(longest * 10) / 10
}
