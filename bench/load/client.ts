import { once } from 'node:events'
import net, { type Socket } from 'node:net'
import tls from 'node:tls'
import { setTimeout as delay } from 'node:timers/promises'

export interface LoadOptions {
  host: string
  port: number
  /** Certificate authority to trust; with one the load is TLS. */
  ca?: string
  /** `close`: a connection for each request. `keep-alive`: as fast as answers come. `think`: with random pauses. */
  kind: 'close' | 'keep-alive' | 'think'
  connections: number
  /** ms; the longest pause of `think`. */
  think?: number
  method?: 'GET' | 'POST'
  path?: string
  /** ms after which an answer counts as missing. */
  timeout?: number
}

/** What became of each request; every one is counted once. */
export interface LoadReport {
  ok: number
  refused: number
  reset: number
  truncated: number
  timeout: number
  not2xx: number
  /** ms, of those that were answered. */
  p50: number
  p99: number
  longest: number
}

export function failedIn (report: LoadReport): number {
  return report.refused + report.reset + report.truncated + report.timeout + report.not2xx
}

type Failure = 'refused' | 'reset' | 'truncated' | 'timeout' | 'not2xx'

/** A request that has no whole answer, and why. */
class Lost extends Error {
  readonly failure: Failure

  constructor (failure: Failure) {
    super(failure)
    this.failure = failure
  }
}

/**
 * A strict HTTP/1.1 client: what it has sent must be answered, whole, with a 2xx. It reconnects without complaint only
 * where the protocol lets a server close: after an answer with `Connection: close`, and while nothing is under way.
 */
export async function load (options: LoadOptions, signal: AbortSignal): Promise<LoadReport> {
  const counts: Record<Failure | 'ok', number> = { ok: 0, refused: 0, reset: 0, truncated: 0, timeout: 0, not2xx: 0 }
  const latencies: number[] = []
  await Promise.all(Array.from({ length: options.connections }, () => client(options, signal, counts, latencies)))
  latencies.sort((a, b) => a - b)
  const quantile = (q: number): number => round(latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * q))] ?? 0)
  return { ...counts, p50: quantile(0.5), p99: quantile(0.99), longest: round(latencies.at(-1) ?? 0) }
}

async function client (options: LoadOptions, signal: AbortSignal, counts: Record<Failure | 'ok', number>, latencies: number[]): Promise<void> {
  let connection: Connection | undefined
  while (!signal.aborted) {
    const start = performance.now()
    try {
      if (connection?.isUsable !== true) connection = await Connection.open(options)
      const mayStay = await connection.ask(request(options), options.timeout ?? 10_000)
      counts.ok++
      latencies.push(performance.now() - start)
      if (!mayStay) connection.close()
    } catch (error) {
      if (!(error instanceof Lost)) throw error
      counts[error.failure]++
      connection?.close()
      connection = undefined
    }
    if (options.kind === 'think') await delay(Math.random() * (options.think ?? 100))
  }
  connection?.close()
}

function request ({ kind, method = 'GET', path = '/', host, port }: LoadOptions): string {
  const body = method === 'POST' ? '{"a":1}' : ''
  const entity = method === 'POST' ? `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n` : ''
  const persistence = kind === 'close' ? 'Connection: close\r\n' : ''
  return `${method} ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\n${entity}${persistence}\r\n${body}`
}

class Connection {
  readonly #socket: Socket
  #received = ''
  #wake = (): void => {}
  #error: NodeJS.ErrnoException | undefined
  #hasEnded = false

  private constructor (socket: Socket) {
    this.#socket = socket
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => { this.#received += text; this.#wake() })
    socket.on('error', error => { this.#error = error; this.#wake() })
    socket.on('end', () => { this.#hasEnded = true; this.#wake() })
    socket.on('close', () => { this.#hasEnded = true; this.#wake() })
  }

  static async open ({ host, port, ca }: LoadOptions): Promise<Connection> {
    const socket = ca === undefined ? net.connect({ host, port, noDelay: true }) : tls.connect({ host, port, ca, servername: 'localhost' })
    try {
      await once(socket, ca === undefined ? 'connect' : 'secureConnect')
    } catch (error) {
      throw new Lost((error as NodeJS.ErrnoException).code === 'ECONNREFUSED' ? 'refused' : 'reset')
    }
    return new Connection(socket)
  }

  get isUsable (): boolean {
    return !this.#hasEnded && this.#error === undefined
  }

  close (): void {
    this.#hasEnded = true
    this.#socket.destroy()
  }

  /** Sends a request and resolves, when the answer is whole, with whether the connection may be used again. */
  async ask (text: string, timeout: number): Promise<boolean> {
    this.#received = ''
    this.#socket.write(text)
    const deadline = performance.now() + timeout
    let answer: Answer | undefined
    while ((answer = parse(this.#received)) === undefined) {
      if (this.#error !== undefined) throw new Lost(this.#received === '' ? 'reset' : 'truncated')
      if (this.#hasEnded) throw new Lost(this.#received === '' ? 'reset' : 'truncated')
      if (performance.now() > deadline) throw new Lost('timeout')
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, Math.max(1, deadline - performance.now()))
        this.#wake = () => { clearTimeout(timer); resolve() }
      })
    }
    if (answer.status < 200 || answer.status > 299) throw new Lost('not2xx')
    return answer.mayStay
  }
}

interface Answer {
  status: number
  mayStay: boolean
}

/** An answer with a Content-Length, once it is whole. */
function parse (text: string): Answer | undefined {
  const end = text.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const head = text.slice(0, end)
  const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0)
  if (text.length < end + 4 + length) return undefined
  return { status: Number(head.slice(9, 12)), mayStay: !/^connection: close/im.test(head) }
}

function round (ms: number): number {
  return Math.round(ms * 10) / 10
}
