import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { type Test } from 'tap'
import { freePort } from '../../bench/free-port.ts'
import { needs } from '../programs.ts'

export const withRedis = { skip: needs('redis-server') }

/** A redis-server of the test on a port of its own, which can be stopped and started again with what it had written. */
export class RedisServer {
  readonly port: number
  readonly #directory = mkdtempSync(join(tmpdir(), 'fastkeep-redis-'))
  #process: ChildProcess | undefined

  private constructor (port: number) {
    this.port = port
  }

  static async start (t: Test): Promise<RedisServer> {
    const server = new RedisServer(await freePort())
    t.teardown(async () => {
      await server.stop('SIGKILL')
      rmSync(server.#directory, { recursive: true, force: true })
    })
    await server.start()
    return server
  }

  async start (): Promise<void> {
    const args = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#directory, '--save', '', '--appendonly', 'yes', '--appendfsync', 'always']
    const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'ignore'] })
    this.#process = child
    await new Promise<void>((resolve, reject) => {
      let output = ''
      child.once('exit', () => reject(new Error(`redis-server ended:\n${output}`)))
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        output += text
        if (/ready to accept connections/i.test(output)) resolve()
      })
    })
  }

  async stop (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#process
    this.#process = undefined
    if (child === undefined) return
    const ended = once(child, 'exit')
    child.kill(signal)
    // A stopped process would not hear it.
    child.kill('SIGCONT')
    await ended
  }

  /** Accepts commands and answers none until `resume()`. */
  pause (): void { this.#process?.kill('SIGSTOP') }

  resume (): void { this.#process?.kill('SIGCONT') }

  /** A client that says at once that Redis is gone, and finds it soon when it is back. */
  client (t: Test): Redis {
    const client = new Redis({ port: this.port, host: '127.0.0.1', enableOfflineQueue: false, enableAutoPipelining: true, retryStrategy: () => 100 })
    client.on('error', () => {})
    t.teardown(() => client.disconnect())
    return client
  }

  async readyClient (t: Test): Promise<Redis> {
    const client = this.client(t)
    await once(client, 'ready')
    return client
  }
}
