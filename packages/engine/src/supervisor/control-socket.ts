import { channel as diagnosticsChannel } from 'node:diagnostics_channel'
import net, { type Server as NetServer, type Socket } from 'node:net'
import { resolve } from 'node:path'
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'
import type { LogEntry } from '../bus/channels.js'
import { ChannelFailures, ListenerFailure } from '../bus/channel-failures.js'
import { Unit, type Priorities } from '../bus/unit.js'
import type { Engine } from '../engine.js'
import { Listener } from '../server/listener.js'
import { CONTROL_COMMANDS, parseRequest } from './control-commands.js'
import { ControlConnection, failureOf } from './control-connection.js'
import { ControlBusy, ControlHandedOver, ControlSocketHeld, ControlSocketUnusable } from './control-errors.js'
import { HEARTBEAT, type ControlAnswer, type ControlProgress, type ControlRequest } from './control-protocol.js'
import { Handover } from './handover.js'

/** This user only, root included. */
const MODE = 0o600

const MOST_CLIENTS = 16

/** Bytes of sun_path on Linux, its final zero not counted; it is bound under a name that is longer by a pid at first. */
const LONGEST_PATH = 107 - '.4194304'.length

/** ms at the end of the process for clients that have not got their answer yet. */
const LAST_WORDS = 500

const ENDING = new Set(['drain', 'stop', 'exit'])

const drainProgress = diagnosticsChannel('fastkeep:engine:drain')

/**
 * The admin channel of a service: a unix socket with mode 0600 on which {@link requestControl} asks for `status`,
 * `reload`, `restart`, `graceful`, `stop` and `scale`. There from `start` 72, after the PID file and before ports are
 * touched, to `exit` 70. It belongs to whoever started the service, also after privileges were dropped.
 *
 * - a socket that nobody answers on is replaced; one that is answered, and anything that is no socket, is left alone
 * - a restart in place hands it over: the successor answers from `ready` 92 on, the predecessor until then
 * - at most 16 clients, requests of 4,096 bytes, 5 s for one to arrive
 *
 * @throws at the start, both with `exitCode` 73: `FST_KEEP_ENGINE_CONTROL_SOCKET_HELD`,
 * `FST_KEEP_ENGINE_CONTROL_SOCKET_UNUSABLE`
 * @example new ControlSocket(engine, '/run/app/control.sock').subscribe()
 */
export class ControlSocket {
  /** Absolute; a relative path counts from the working directory in which the object was made. */
  readonly path: string
  readonly #engine: Engine
  readonly #unit: Unit<'start' | 'ready' | 'exit' | 'answer'>
  /** Clients that have not got their answer yet. */
  readonly #serving = new Set<Promise<void>>()
  readonly #failures: ListenerFailure[] = []
  readonly #exited: Promise<void>
  #settleExit: { resolve: () => void, reject: (error: Error) => void } | undefined
  #inheritedFd: number | undefined
  #listener: Listener | undefined
  #server: NetServer | undefined
  #isHandedOver = false

  constructor (engine: Engine, path: string) {
    this.path = resolve(path)
    this.#engine = engine
    this.#inheritedFd = Handover.inherited(this.#part)
    this.#exited = new Promise((resolve, reject) => { this.#settleExit = { resolve, reject } })
    this.#exited.catch(() => {})
    this.#unit = new Unit(engine, 'ControlSocket', {
      start: { channel: 'start', priority: 72, run: () => this.#inheritedFd === undefined ? this.#bind() : undefined },
      ready: { channel: 'ready', priority: 92, run: () => this.#inheritedFd === undefined ? undefined : this.#takeOver(this.#inheritedFd) },
      exit: { channel: 'exit', priority: 70, run: () => this.#end() },
      answer: { channel: 'exit', priority: 100, run: () => this.#tellOutcome() },
    })
  }

  /** What the socket is called in a restart in place. */
  get #part (): string {
    return `control socket ${this.path}`
  }

  /** The descriptor on which a successor can listen; `undefined` while this process does not. */
  get fd (): number | undefined {
    return this.#server === undefined ? undefined : this.#listener?.fd
  }

  subscribe (priorities?: Priorities<'start' | 'ready' | 'exit' | 'answer'>): this {
    if (this.#unit.isSubscribed) return this
    this.#unit.subscribe(priorities)
    this.#engine.subscribe('log', entry => this.#note(entry), { name: 'ControlSocket' })
    this.#engine.handover.keep(this.#part, this)
    this.#engine.addStatus('controlSocket', () => this.path)
    return this
  }

  /** Leaves the bus and gives the socket up. */
  unsubscribe (): void {
    this.#unit.unsubscribe()
    this.#release()
  }

  /** A successor that ended has changed nothing: this process has listened all the time. */
  takeBack (): void {}

  /** The successor answers from now on; who is connected here still gets his answer. */
  handedOver (): void {
    this.#isHandedOver = true
    this.#listener?.handOver()
    this.#close()
  }

  async #bind (): Promise<void> {
    if (this.#server !== undefined) return
    if (process.platform === 'win32') throw new ControlSocketUnusable(this.path, 'Windows has no such sockets; leave the option "controlSocket" out here')
    if (Buffer.byteLength(this.path) > LONGEST_PATH) {
      throw new ControlSocketUnusable(this.path, `the path of a unix socket may have ${LONGEST_PATH} bytes here; choose a shorter one by the option "controlSocket"`)
    }
    try {
      await this.#listen(await Listener.bind({ path: this.path, mode: MODE }))
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException
      if (code === 'FST_KEEP_ENGINE_ADDRESS_IN_USE') throw new ControlSocketHeld(this.path, { cause })
      throw new ControlSocketUnusable(this.path, message, { cause })
    }
  }

  async #takeOver (fd: number): Promise<void> {
    this.#inheritedFd = undefined
    const listener = Listener.inherit(fd, { path: this.path })
    await this.#listen(listener)
    listener.takePath()
  }

  async #listen (listener: Listener): Promise<void> {
    const server = net.createServer({ allowHalfOpen: true }, socket => this.#accept(socket))
    await listener.listen(server)
    server.on('error', error => this.#engine.log(`Control socket: ${error.message}`, 'error', error)).unref()
    this.#listener = listener
    this.#server = server
  }

  #accept (socket: Socket): void {
    const client = new ControlConnection(socket)
    const serving = this.#serve(client).catch(() => { socket.destroy() }).finally(() => { this.#serving.delete(serving) })
    this.#serving.add(serving)
  }

  #close (): void {
    this.#server?.close()
    this.#server = undefined
  }

  async #end (): Promise<void> {
    // Those who are in the queue of the socket would be reset.
    await nextTurn()
    this.#release()
  }

  #release (): void {
    this.#close()
    // A successor that fails while its predecessor serves leaves the path to it.
    if (Handover.canBeTakenBack) this.#listener?.handOver()
    this.#listener?.release()
  }

  async #serve (client: ControlConnection): Promise<void> {
    try {
      if (this.#serving.size >= MOST_CLIENTS) throw new ControlBusy(MOST_CLIENTS)
      const request = parseRequest(await client.readLine())
      if (this.#isHandedOver) throw new ControlHandedOver(process.pid)
      const answer = await this.#answer(client, request)
      if (request.command === 'stop') await client.leave(answer)
      else client.close(answer)
    } catch (error) {
      client.close(failureOf(error))
    }
  }

  async #answer (client: ControlConnection, request: ControlRequest): Promise<ControlAnswer> {
    const engine = this.#engine
    const total = engine.server.connections
    const progress = (more: Pick<ControlProgress, 'left' | 'message'> = {}): void => {
      client.progress({ state: engine.state, connections: engine.server.connections, total, ...more })
    }
    const onDrain = (message: unknown): void => {
      const { bus, left } = message as { bus: unknown, left: number }
      if (bus === engine) progress({ left })
    }
    const heartbeat = setInterval(progress, HEARTBEAT).unref()
    const leaveLog = engine.subscribe('log', ({ message }) => progress({ message }), { name: 'ControlSocket' })
    drainProgress.subscribe(onDrain)
    try {
      const result = await CONTROL_COMMANDS[request.command]?.run({ engine, exited: this.#exited }, request)
      return { ok: true, result: result ?? {} }
    } catch (error) {
      return failureOf(error)
    } finally {
      clearInterval(heartbeat)
      leaveLog()
      drainProgress.unsubscribe(onDrain)
    }
  }

  /** The failures of the exit; its caller hears of them only when nobody can be told any more. */
  #note ({ error }: LogEntry): void {
    if (error instanceof ListenerFailure && ENDING.has(error.channel)) this.#failures.push(error)
  }

  async #tellOutcome (): Promise<void> {
    if (this.#failures.length > 0) this.#settleExit?.reject(new ChannelFailures(this.#failures))
    else this.#settleExit?.resolve()
    const waited = new AbortController()
    await Promise.race([Promise.all(this.#serving), delay(LAST_WORDS, undefined, { signal: waited.signal }).catch(() => {})])
    waited.abort()
  }
}
