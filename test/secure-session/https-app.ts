import { execFileSync } from 'node:child_process'
import { Writable } from 'node:stream'
import fastify, { type FastifyInstance } from 'fastify'
import { type Test } from 'tap'
import { Agent, request } from 'undici'
import secureSession, { generateKey, type SecureSessionOptions } from '@fastkeep/secure-session'
import { needs } from '../programs.ts'

declare module '@fastkeep/secure-session' {
  interface SessionData {
    user: string
    visits: number
    cart: { items: string[] }
    note: unknown
    a: string
  }
}

export const key = generateKey()

/** The options of a test that uses HTTPS: openssl makes its certificate. */
export const overHttps = { skip: needs('openssl') }

const certificate = overHttps.skip === false ? makeCertificate() : { cert: '', key: '' }

export interface Answer {
  statusCode: number
  body: string
  headers: Record<string, string | string[] | undefined>
  /** The Set-Cookie lines. */
  setCookie: string[]
}

export interface LogLine { level: number, code?: string, reason?: string, msg: string }

/** A Fastify server over HTTPS with the session registered, and what it logs. It is closed with the test. */
export async function httpsApp (t: Test, options: SecureSessionOptions = { keys: [key] }): Promise<{ app: FastifyInstance, log: LogLine[] }> {
  const { stream, log } = logLines()
  const app = fastify({ https: certificate, logger: { level: 'debug', stream } }) as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(secureSession, options)
  return { app, log }
}

/** The same over plain HTTP. */
export async function httpApp (t: Test, options: SecureSessionOptions = { keys: [key] }, trustProxy = false): Promise<{ app: FastifyInstance, log: LogLine[] }> {
  const { stream, log } = logLines()
  const app = fastify({ trustProxy, logger: { level: 'debug', stream } })
  t.teardown(() => app.close())
  await app.register(secureSession, options)
  return { app, log }
}

/** A client with a cookie jar for one server. */
export class Browser {
  readonly cookies = new Map<string, string>()
  readonly #agent = new Agent({ connect: { ca: certificate.cert } })
  readonly #origin: string

  constructor (origin: string) {
    this.#origin = origin
  }

  /** Listens on a free port of 127.0.0.1. */
  static async of (t: Test, app: FastifyInstance): Promise<Browser> {
    const browser = new Browser(await app.listen({ host: '127.0.0.1', port: 0 }))
    t.teardown(() => browser.#agent.close())
    return browser
  }

  get origin (): string { return this.#origin }

  /** The sealed value of the session cookie. */
  get session (): string { return this.cookies.get('__Host-session') ?? '' }

  set session (value: string) { this.cookies.set('__Host-session', value) }

  async fetch (path: string, method: 'GET' | 'HEAD' | 'POST' = 'GET', headers: Record<string, string> = {}): Promise<Answer> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await request(this.#origin + path, { method, dispatcher: this.#agent, headers: { ...headers, ...(cookie !== '' && { cookie }) } })
    const setCookie = [response.headers['set-cookie'] ?? []].flat()
    for (const line of setCookie) this.#keep(line)
    return { statusCode: response.statusCode, body: await response.body.text(), headers: response.headers, setCookie }
  }

  #keep (line: string): void {
    const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
    if (/max-age=0/i.test(line)) this.cookies.delete(name)
    else this.cookies.set(name, value)
  }
}

/** The certificate that `httpsApp` serves, for other clients. */
export const ca = certificate.cert

function logLines (): { stream: Writable, log: LogLine[] } {
  const log: LogLine[] = []
  const stream = new Writable({
    write (chunk, _encoding, done) {
      log.push(JSON.parse(String(chunk)) as LogLine)
      done()
    },
  })
  return { stream, log }
}

function makeCertificate (): { cert: string, key: string } {
  const pem = execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1',
    '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', '-', '-out', '-',
  ], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  // Node finds in the same text what it looks for: the key or the certificate.
  return { cert: pem, key: pem }
}
