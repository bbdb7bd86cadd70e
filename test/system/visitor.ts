import { once } from 'node:events'
import { type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import https from 'node:https'
import { WebSocket } from 'ws'

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

/** Somebody with a cookie jar of one cookie, who trusts one certificate authority. */
export class Visitor {
  readonly #origin: string
  readonly #ca: string
  cookie: string | undefined

  constructor (origin: string, ca: string) {
    this.#origin = origin
    this.#ca = ca
  }

  get (path: string): Promise<Answer> {
    return this.#ask('GET', path)
  }

  post (path: string, form: Record<string, string> = {}): Promise<Answer> {
    return this.#ask('POST', path, String(new URLSearchParams(form)))
  }

  /** Opens a WebSocket as a page of `origin` would. */
  socket (path: string, origin = this.#origin): WebSocket {
    const headers = this.cookie === undefined ? {} : { cookie: this.cookie }
    return new WebSocket(this.#origin.replace('https', 'wss') + path, { ca: this.#ca, origin, headers })
  }

  async #ask (method: string, path: string, body?: string): Promise<Answer> {
    const headers: Record<string, string> = {}
    if (this.cookie !== undefined) headers.cookie = this.cookie
    if (body !== undefined) headers['content-type'] = 'application/x-www-form-urlencoded'
    const request = https.request(this.#origin + path, { method, headers, ca: this.#ca, agent: false })
    request.end(body)
    const [response] = await once(request, 'response') as [IncomingMessage]
    let text = ''
    for await (const chunk of response.setEncoding('utf8')) text += String(chunk)
    const [set] = response.headers['set-cookie'] ?? []
    if (set !== undefined) this.cookie = /=;|Max-Age=0/i.test(set) ? undefined : set.split(';')[0]
    return { status: response.statusCode ?? 0, headers: response.headers, body: text }
  }
}

/** The next message of a socket, as JSON. */
export async function nextMessage (socket: WebSocket): Promise<unknown> {
  const [data] = await once(socket, 'message') as [Buffer]
  return JSON.parse(data.toString('utf8'))
}

/** The status with which a handshake was refused. */
export async function refusal (socket: WebSocket): Promise<number | undefined> {
  const [, response] = await once(socket, 'unexpected-response') as [unknown, IncomingMessage]
  response.resume()
  return response.statusCode
}
