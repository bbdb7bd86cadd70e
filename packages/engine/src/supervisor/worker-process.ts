import type { ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { WorkerFailed } from '../errors.js'
import { ExitCode } from '../exit-codes.js'
import type { ListeningHandle } from '../server/accept-pause.js'
import type { SecretsBundle } from './kept-secrets.js'
import { LineChannel } from './line-channel.js'
import { Question } from './question.js'
import { readWorkerMessage } from './read-worker-message.js'
import { endOf, spawnWorker, type WorkerEnd, type WorkerStart } from './spawn-worker.js'
import { serveFully } from './start-priority.js'
import type { AcceptMessage, PeerMessage, StatusParts, SupervisorMessage, WorkerMessage, WorkerStats } from './worker-messages.js'

export type WorkerState = 'starting' | 'ready' | 'retiring' | 'ended'

export interface WorkerStatus extends WorkerStats {
  readonly slot: number
  readonly pid: number
  readonly state: WorkerState
  readonly generation: number
  /** ms for which it has served. */
  readonly uptime: number
  /** What its app has added by `engine.addStatus()`, if anything; only where it was asked for. */
  readonly parts?: StatusParts
}

/** ms beyond the longest drain for a worker that retires to end by itself. */
const RETIREMENT_GRACE = 5_000

/** ms between the end of the channel and that of the process. */
const CHANNEL_GRACE = 1_000

/** ms for a worker to read again what it can. */
const GRACEFUL_TIMEOUT = 30_000

/** ms for a worker to say what its app knows. */
const STATUS_TIMEOUT = 800

/** ms between SIGTERM and SIGKILL for one that does not serve yet. */
const STARTING_GRACE = 3_000

/** ms for one that has failed to write why, and to end by itself. */
const LAST_WORDS = 1_000

/** One worker, as the supervisor sees it. */
export class WorkerProcess {
  readonly slot: number
  readonly generation: number
  /** Done when it serves; rejects with `FST_KEEP_ENGINE_WORKER_FAILED`, and then it has ended or is being ended. */
  readonly ready: Promise<void>
  readonly ended: Promise<WorkerEnd>
  /** What it says for the other workers. */
  onPeer: (message: PeerMessage) => void = () => {}
  /** It has more connections than its share, and leaves new ones to others. */
  onPaused: () => void = () => {}
  /** It drains of its own accord, and serves no longer. */
  onLeaving: () => void = () => {}
  stats: WorkerStats = { memory: 0, eventLoopDelay: 0, requests: 0, connections: 0, isPaused: false }
  /** ms, like `performance.now()`: its last sign of life. */
  lastBeat = performance.now()
  /** ms, like `performance.now()`. */
  servesSince = 0
  urls: readonly string[] = []
  keepAliveTimeout = 0
  /** ms that its drain may take: on a stop, and when others serve already. */
  longestStop = 0
  longestDrain = 0
  readonly #child: ChildProcess
  readonly #channel: LineChannel<SupervisorMessage, WorkerMessage>
  readonly #handles: readonly ListeningHandle[]
  #most = Number.MAX_SAFE_INTEGER
  #state: WorkerState = 'starting'
  #hasFailed = false
  #answer: { resolve: () => void, reject: (error: Error) => void } = { resolve: () => {}, reject: () => {} }
  readonly #graceful = new Question<string | undefined>()
  readonly #parts = new Question<StatusParts>()

  constructor (slot: number, generation: number, start: WorkerStart) {
    this.slot = slot
    this.generation = generation
    const { child, channel } = spawnWorker(slot, start)
    this.#child = child
    this.#handles = start.handles
    this.#keepQuiet()
    this.#channel = new LineChannel<SupervisorMessage, WorkerMessage>(channel, readWorkerMessage, message => this.#receive(message), () => this.#left()).unref()
    this.ended = endOf(child).finally(() => {
      this.#state = 'ended'
      this.#graceful.answer('it has ended')
      this.#parts.answer({})
    })
    this.ready = this.#becomeReady(start.timeout)
    // Whoever waits for it hears of it.
    this.ready.catch(() => {})
  }

  get pid (): number {
    return this.#child.pid ?? 0
  }

  get state (): WorkerState {
    return this.#state
  }

  get status (): WorkerStatus {
    const { slot, pid, state, generation, servesSince, stats } = this
    return { slot, pid, state, generation, uptime: servesSince === 0 ? 0 : Math.round(performance.now() - servesSince), ...stats }
  }

  /** Has it drain for as long as clients were promised, and exit; it is ended when it does not. */
  retire (): void {
    if (this.#state === 'ready') {
      this.#channel.send({ type: 'retire' })
      this.#killAfter(this.longestDrain + RETIREMENT_GRACE)
    } else if (this.#state === 'starting') {
      this.terminate()
      this.#killAfter(STARTING_GRACE)
    }
    if (this.#state !== 'ended') this.#state = 'retiring'
  }

  /**
   * @param secrets as they are now
   * @returns why it failed, if it did
   */
  graceful (secrets: SecretsBundle): Promise<string | undefined> {
    if (this.#state !== 'ready') return Promise.resolve(undefined)
    this.#channel.send({ type: 'secrets', secrets })
    this.#channel.send({ type: 'graceful' })
    return this.#graceful.ask(GRACEFUL_TIMEOUT, `no answer within ${GRACEFUL_TIMEOUT} ms`)
  }

  /** Its status, with what its app knows. */
  async fullStatus (): Promise<WorkerStatus> {
    if (this.#state !== 'ready') return this.status
    this.#channel.send({ type: 'status' })
    const parts = await this.#parts.ask(STATUS_TIMEOUT, {})
    return Object.keys(parts).length === 0 ? this.status : { ...this.status, parts }
  }

  /** What it still drains is cut. By the channel, for two signals in a row may count as one. */
  hurry (): void {
    this.#channel.send({ type: 'hurry' })
  }

  /** Has it drain and exit. */
  terminate (): void {
    if (this.#state === 'ended') return
    if (this.#state === 'starting') {
      this.#child.kill('SIGTERM')
    } else {
      this.#state = 'retiring'
      // Not by a signal: one that went to the whole group may have come already, and the second one cuts.
      this.#channel.send({ type: 'stop' })
    }
  }

  kill (): void {
    this.#child.kill('SIGKILL')
  }

  /** Ends one that does not serve, or whose work nobody waits for. */
  async end (): Promise<void> {
    this.terminate()
    this.#killAfter(STARTING_GRACE)
    await this.ended
  }

  /** One that starts is told, too: it may wait for what the others know before it serves. */
  tell (message: PeerMessage): void {
    if (this.#state !== 'ended') this.#channel.offer(message)
  }

  /** @param most connections that it may have before it leaves new ones to the others */
  limit (most: number): void {
    if (most === this.#most || this.#state !== 'ready') return
    this.#most = most
    this.#channel.send({ type: 'share', most })
  }

  /** Has it accept connections again. */
  resume (): void {
    this.stats = { ...this.stats, isPaused: false }
    for (const [socket, handle] of this.#handles.entries()) {
      const message: AcceptMessage = { fastkeep: 'accept', socket }
      // Of one that has ended meanwhile nobody needs to hear.
      this.#child.send(message, handle as unknown as Socket, () => {})
    }
  }

  /** Node's own channel leads to the worker alone. What it says there is not for us; a descriptor from it would stay open. */
  #keepQuiet (): void {
    this.#child.on('message', (_message, handle) => { if (handle !== undefined) this.kill() })
    this.#child.channel?.unref()
  }

  async #becomeReady (timeout: number): Promise<void> {
    const answered = new Promise<void>((resolve, reject) => { this.#answer = { resolve, reject } })
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(this.#failure(`it was not ready within ${timeout} ms; does its program register @fastkeep/engine and listen?`, ExitCode.NOT_READY)), timeout)
    })
    const gone = this.ended.then(({ code, signal }) => {
      throw this.#failure(`it ended with ${signal ?? `code ${code}`} before it was ready`, code ?? ExitCode.SOFTWARE)
    })
    try {
      await Promise.race([answered, late, gone])
      this.#state = 'ready'
      serveFully(this.pid)
      this.servesSince = this.lastBeat = performance.now()
    } catch (error) {
      if (this.#hasFailed) await Promise.race([this.ended, delay(LAST_WORDS, undefined, { ref: false })])
      await this.end()
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  #receive (message: WorkerMessage): void {
    switch (message.type) {
      case 'ready':
        this.urls = message.urls
        this.keepAliveTimeout = message.keepAliveTimeout
        this.longestStop = message.longestStop
        this.longestDrain = message.longestDrain
        return this.#answer.resolve()
      case 'failed':
        this.#hasFailed = true
        return this.#answer.reject(this.#failure(message.message, message.exitCode))
      case 'beat':
        this.stats = message.stats
        this.lastBeat = performance.now()
        if (message.stats.isPaused) this.onPaused()
        return
      case 'leaving':
        if (this.#state !== 'ready') return
        this.#state = 'retiring'
        this.#killAfter(Math.max(this.longestStop, this.longestDrain) + RETIREMENT_GRACE)
        return this.onLeaving()
      case 'graceful':
        return this.#graceful.answer(message.failure)
      case 'status':
        return this.#parts.answer(message.parts)
      case 'peer':
        return this.onPeer(message)
    }
  }

  /** A worker that closes the channel, or says what no worker can say, is not under control any more. */
  #left (): void {
    if (this.#state === 'ready' || this.#state === 'starting') this.#killAfter(CHANNEL_GRACE)
  }

  #killAfter (ms: number): void {
    const timer = setTimeout(() => this.kill(), ms)
    this.ended.then(() => clearTimeout(timer), () => {})
  }

  #failure (why: string, exitCode: number): Error {
    return Object.assign(new WorkerFailed(`worker ${this.slot} (${this.pid})`, why), { exitCode: exitCode === 0 ? ExitCode.SOFTWARE : exitCode })
  }
}
