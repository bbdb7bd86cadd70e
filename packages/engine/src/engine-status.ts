import { channel as diagnosticsChannel } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import type { Server as NetServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { State } from './bus/states.js'
import type { Engine } from './engine.js'

/** What a service says of itself. Any part of it may add to it by `engine.addStatus()`. */
export interface EngineStatus {
  readonly state: State
  readonly pid: number
  /** s since the process started. */
  readonly uptime: number
  /** Of `@fastkeep/engine`. */
  readonly version: string
  /** Of Node, e.g. `v24.1.0`. */
  readonly node: string
  readonly urls: readonly string[]
  /** Open connections, upgraded ones included. */
  readonly connections: number
  /** Requests since the process started. */
  readonly requests?: number
  /** Bytes of resident memory. */
  readonly memory: number
  /** ms: the longest that a timer was late within the 100 ms before the answer. */
  readonly eventLoopDelay: number
  readonly pidFile?: string
  readonly controlSocket?: string
  readonly workers?: readonly WorkerStatus[]
  readonly certificates?: ReadonlyArray<{ name: string, expires: string }>
  /** While draining: what is left, and ms until it is cut. */
  readonly draining?: { readonly connections: number, readonly left: number }
  readonly [part: string]: unknown
}

/** One worker of a supervised service; units as in {@link EngineStatus}. */
export interface WorkerStatus {
  readonly id: number
  readonly pid: number
  readonly state: string
  readonly generation: number
  readonly uptime: number
  readonly memory?: number
  readonly eventLoopDelay?: number
  readonly requests?: number
  readonly connections?: number
}

/** The workers of a service, as their supervisor knows them. */
export interface SupervisorControl {
  status (): { readonly workers: readonly WorkerStatus[] }
  scale (count: number): Promise<void>
}

/** ms for which the event loop is watched when somebody asks: nothing runs for it at other times. */
const SAMPLE = 100
const SAMPLE_INTERVAL = 10

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

const requestsOf = new WeakMap<Engine, { count: number }>()

const drains = new WeakMap<object, { readonly connections: number, readonly left: number }>()

diagnosticsChannel('fastkeep:engine:drain').subscribe(message => {
  const { bus, connections, left } = message as { bus: object, connections: number, left: number }
  drains.set(bus, { connections, left })
})

/** Has an engine tell what it knows of itself. */
export function addEngineStatus (engine: Engine): void {
  const readers = {
    state: () => engine.state,
    pid: () => process.pid,
    uptime: () => Math.round(process.uptime()),
    version: () => version,
    node: () => process.version,
    urls: () => engine.server.urls,
    connections: () => engine.server.connections,
    requests: () => requestsOf.get(engine)?.count,
    memory: () => process.memoryUsage.rss(),
    eventLoopDelay: () => measureEventLoopDelay(SAMPLE),
    workers: () => engine.supervisor?.status().workers,
    draining: () => engine.state === 'STOPPING' ? drains.get(engine) : undefined,
  }
  for (const [name, read] of Object.entries(readers)) engine.addStatus(name, read)
}

/** Counts the requests of a server as the engine's. */
export function countRequests (engine: Engine, server: NetServer): void {
  const counter = requestsOf.get(engine) ?? { count: 0 }
  requestsOf.set(engine, counter)
  server.on('request', () => { counter.count++ })
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
