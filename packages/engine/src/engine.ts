import { MessageChannel } from 'node:worker_threads'
import { Bus } from './bus/bus.js'
import { type Listener, type SubscribeOptions } from './bus/channel.js'
import { type Channels } from './bus/channels.js'
import { type DrainOptions } from './server/drain.js'
import { Server } from './server/server.js'

export interface EngineOptions {
  /** ms for which idle connections stay usable while draining, and after which the rest is cut. Default 5,000 and 25,000. */
  drain?: Partial<DrainOptions>
}

/**
 * The process bus with the servers on it.
 *
 * @example
 * const engine = new Engine()
 * engine.server.add(app, { port: 8080 })
 * await runToExit(engine)
 */
export class Engine extends Bus {
  readonly server: Server
  #tick: (() => void) | undefined

  constructor (options: EngineOptions = {}) {
    super()
    this.server = new Server(this, options.drain)
  }

  /** Aborts when the drain begins: streams and server-sent events should end then. */
  get draining (): AbortSignal {
    return this.server.draining
  }

  /**
   * Keeps the process alive until the bus is EXITED, by events alone: while nobody listens to `main` nothing wakes up.
   *
   * @param options.interval ms between two publishes of `main` while somebody listens to it; default 100
   * @throws {ChannelFailures} when the exit failed
   */
  async block ({ interval = 100 }: { interval?: number } = {}): Promise<void> {
    const keptAlive = new MessageChannel()
    keptAlive.port1.on('message', () => {})
    let timer: NodeJS.Timeout | undefined
    this.#tick = () => {
      if (!this.hasListeners('main')) {
        clearInterval(timer)
        timer = undefined
      } else if (timer === undefined) {
        timer = setInterval(() => {
          this.#tick?.()
          this.publish('main').catch(() => {})
        }, interval)
      }
    }
    this.#tick()
    try {
      await this.wait('EXITED')
    } finally {
      this.#tick = undefined
      clearInterval(timer)
      keptAlive.port1.close()
    }
    await this.exit()
  }

  override subscribe<C extends keyof Channels> (channel: C, listener: Listener<Channels[C]>, options?: SubscribeOptions): () => void
  override subscribe (channel: string, listener: Listener, options?: SubscribeOptions): () => void
  override subscribe (channel: string, listener: Listener, options?: SubscribeOptions): () => void {
    const unsubscribe = super.subscribe(channel, listener, options)
    if (channel === 'main') this.#tick?.()
    return unsubscribe
  }
}
