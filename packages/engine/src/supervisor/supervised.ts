import { readFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { resolve } from 'node:path'
import type { Engine } from '../engine.js'
import { exitCodeOf } from '../exit-codes.js'
import { takeNote } from './environment-note.js'
import { FairShare } from './fair-share.js'
import { keptSecrets } from './kept-secrets.js'
import { LineChannel } from './line-channel.js'
import { LoopWatch } from './loop-watch.js'
import { Peers } from './peers.js'
import { WORKER_NOTE, type SupervisorMessage, type WorkerMessage, type WorkerNote } from './worker-messages.js'

/** ms between two signs of life. */
const BEAT_INTERVAL = 1_000

/** ms between SIGTERM and SIGKILL for a worker that has lost its supervisor before it served. */
const LAST_WORDS = 5_000

/** The supervisor of this process, as this one sees it. There is none in a process that was started in any other way. */
export class Supervised {
  readonly note: WorkerNote
  /** The other workers. */
  readonly peers: Peers
  readonly #channel: LineChannel<WorkerMessage, SupervisorMessage>
  #engine: Engine | undefined
  #share: FairShare | undefined
  #loopWatch: LoopWatch | undefined
  #isDismissed = false

  constructor (note: WorkerNote) {
    this.note = note
    this.#channel = new LineChannel(new Socket({ fd: note.channel }), value => value as SupervisorMessage | undefined, message => this.#receive(message), () => this.#supervisorGone()).unref()
    keptSecrets.mayAsk = false
    keptSecrets.take(note.secrets)
    this.peers = new Peers(message => this.#channel.offer(message))
  }

  /** This process is going to serve: what blocks the event loop is told from then on. */
  prepare (engine: Engine): void {
    // Before the first connection: a thread that starts takes a processor for longer than a request.
    engine.subscribe('start', () => this.#watchLoop(engine), { priority: 79, name: 'LoopWatch' })
  }

  /** This process serves: the supervisor counts on it from now on. */
  serves (engine: Engine): void {
    if (this.#engine !== undefined) return
    this.#engine = engine
    const { urls, keepAliveTimeout, longestStop, longestDrain } = engine.server
    this.#channel.send({ type: 'ready', urls, keepAliveTimeout, longestStop, longestDrain })
    const share = new FairShare(engine.server, this.note.sockets, () => this.#beat(engine, 0))
    this.#share = share
    this.#beat(engine, 0)
    let expected = performance.now()
    setInterval(() => {
      expected += BEAT_INTERVAL
      const now = performance.now()
      this.#beat(engine, Math.max(0, Math.round(now - expected)))
      expected = Math.max(expected, now)
    }, BEAT_INTERVAL).unref()
    engine.subscribe('drain', () => { if (!this.#isDismissed) this.#channel.send({ type: 'leaving' }) }, { priority: 1, name: 'Supervised' })
    if (!this.#channel.isOpen) this.#supervisorGone()
  }

  /** The supervisor hears why this process did not come to serve. */
  failed (error: unknown): void {
    if (this.#engine !== undefined) return
    this.#channel.send({ type: 'failed', message: error instanceof Error ? error.message : String(error), exitCode: exitCodeOf(error) })
  }

  #beat ({ server }: Engine, eventLoopDelay: number): void {
    this.#channel.offer({
      type: 'beat',
      stats: {
        memory: process.memoryUsage.rss(),
        eventLoopDelay,
        requests: server.requests,
        connections: server.connections,
        isPaused: this.#share?.isPaused ?? false,
      },
    })
  }

  /** Says what blocks the event loop before the supervisor ends this process for it. */
  async #watchLoop (engine: Engine): Promise<void> {
    this.#loopWatch ??= new LoopWatch({
      blockedAfter: this.note.toldAfter,
      onBlocked: ({ lasted, stack }) => engine.log(`The event loop was blocked for ${lasted} ms${stack[0] === undefined ? '' : ` by ${stack[0]}`}`, 'warn', undefined, 'FST_KEEP_ENGINE_LOOP_BLOCKED'),
      onError: error => engine.log('What blocks the event loop is not told any more', 'warn', error, 'FST_KEEP_ENGINE_LOOP_WATCH_FAILED'),
    })
    await this.#loopWatch.start()
  }

  #receive (message: SupervisorMessage): void {
    const engine = this.#engine
    switch (message.type) {
      case 'secrets':
        return keptSecrets.receive(message.secrets)
      case 'peer':
        return this.peers.receive(message)
      case 'retire':
        this.#isDismissed = true
        engine?.server.handOver()
        // Its failure is for those who wait for the exit.
        engine?.exit().catch(() => {})
        return
      case 'stop':
        this.#isDismissed = true
        engine?.exit().catch(() => {})
        return
      case 'share':
        return this.#share?.limit(message.most)
      case 'status':
        engine?.addedStatus().then(parts => this.#channel.offer({ type: 'status', parts }), () => {})
        return
      case 'hurry':
        return engine?.server.hurry('the supervisor')
      case 'graceful':
        engine?.graceful().then(
          () => this.#channel.send({ type: 'graceful' }),
          (error: Error) => this.#channel.send({ type: 'graceful', failure: error.message })
        )
    }
  }

  /** Nobody would start another process in this one's place, nor end it: what is under way is finished. */
  #supervisorGone (): void {
    if (this.#engine === undefined) return endBySignals()
    if (this.#engine.state !== 'STARTED') return
    this.#engine.log('The supervisor has ended, so this worker drains and exits', 'error', undefined, 'FST_KEEP_ENGINE_SUPERVISOR_GONE')
    this.#engine.exit().catch(() => {})
  }
}

/** For a process that has not come to serve, and nobody waits for any more. */
function endBySignals (): void {
  process.kill(process.pid, 'SIGTERM')
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), LAST_WORDS).unref()
}

/** One for all copies of this module: a process has one supervisor. */
export const supervised = sharedSupervised()

function sharedSupervised (): Supervised | undefined {
  if (process.env[WORKER_NOTE] === undefined || !process.getBuiltinModule('node:worker_threads').isMainThread) return undefined
  const key = Symbol.for('@fastkeep/engine:supervised')
  const holder = globalThis as { [key: symbol]: Supervised | undefined }
  if (key in holder) return holder[key]
  const note = takeNote<WorkerNote>(WORKER_NOTE)
  holder[key] = note === undefined ? undefined : supervisedBy(note)
  return holder[key]
}

function supervisedBy (note: WorkerNote): Supervised | undefined {
  try {
    return new Supervised(note)
  } catch {
    // Its descriptors are not there: a note that was left over.
    return undefined
  }
}

/**
 * Reads what only a privileged user may read, e.g. a private key. In a worker the supervisor has read it, if it is among
 * its `secrets`, and again before each `graceful`; anywhere else, and what is not among them, it is read from the file.
 *
 * @param path relative ones count from the working directory
 * @throws what the system says of a file that cannot be read
 * @example createServerContext({ key: readSecret('/etc/shop/key.pem'), cert })
 */
export function readSecret (path: string): Buffer {
  return keptSecrets.file(resolve(path)) ?? readFileSync(path)
}
