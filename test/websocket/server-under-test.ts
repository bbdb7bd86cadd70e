import { once } from 'node:events'
import { connect, type AddressInfo, type Socket } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { WebSocket, type ClientOptions } from 'ws'
import websocket, { type WebSocketPluginOptions } from '@fastkeep/websocket'
import type { Test } from 'tap'

export interface LogLine { level: number, msg: string, code?: string, [key: string]: unknown }

export interface ServerUnderTest {
  app: FastifyInstance
  log: LogLine[]
  port: number
  /** `host:port`, as a browser would send it. */
  host: string
  /** The origin of the server itself. */
  origin: string
}

/** A server that listens on 127.0.0.1 and ends with the test; `build` adds its routes, `before` what comes before the plugin. */
export async function serve (
  t: Test, options: WebSocketPluginOptions, build: (app: FastifyInstance) => void | Promise<void>,
  factory: FastifyServerOptions = {}, before: (app: FastifyInstance) => void = () => {}
): Promise<ServerUnderTest> {
  const log: LogLine[] = []
  const app = Fastify({ logger: { level: 'debug', stream: { write: line => log.push(JSON.parse(line)) } }, ...factory })
  t.teardown(() => app.close())
  before(app)
  await app.register(websocket, options)
  await build(app)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const host = `127.0.0.1:${port}`
  return { app, log, port, host, origin: `http://${host}` }
}

/** A real client whose page is of the server's own origin, once it is open. */
export async function open (t: Test, server: ServerUnderTest, path: string, options: ClientOptions = {}): Promise<WebSocket> {
  const client = new WebSocket(`ws://${server.host}${path}`, { origin: server.origin, ...options })
  t.teardown(() => client.terminate())
  await once(client, 'open')
  return client
}

/** The next message as text. */
export async function nextText (client: WebSocket): Promise<string> {
  const [data] = await once(client, 'message')
  return String(data)
}

/** Close code and reason, as the client saw them. */
export async function closing (client: WebSocket): Promise<{ code: number, reason: string }> {
  const [code, reason] = await once(client, 'close')
  return { code, reason: String(reason) }
}

export type HandshakeHeaders = Record<string, string | string[] | undefined>

export interface RawAnswer {
  status: number
  headers: Record<string, string>
  body: string
}

/** Sends a handshake by hand; an `undefined` header is left out, an array is sent as several headers. */
export function sendHandshake (port: number, path: string, headers: HandshakeHeaders = {}, method = 'GET'): Socket {
  const all: HandshakeHeaders = {
    Host: `127.0.0.1:${port}`,
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...headers,
  }
  const lines = Object.entries(all).flatMap(([name, value]) => [value ?? []].flat().map(each => `${name}: ${each}`))
  const socket = connect(port, '127.0.0.1')
  socket.write([`${method} ${path} HTTP/1.1`, ...lines, '', ''].join('\r\n'))
  return socket
}

/** The whole answer to a handshake that is refused: resolves when the server has ended the connection. */
export async function refusal (port: number, path: string, headers: HandshakeHeaders = {}, method = 'GET'): Promise<RawAnswer> {
  const socket = sendHandshake(port, path, headers, method)
  let text = ''
  socket.setEncoding('utf8').on('data', chunk => {
    text += chunk
    if (text.startsWith('HTTP/1.1 101')) socket.destroy(new Error(`the handshake was not refused: ${JSON.stringify(headers)}`))
  })
  await once(socket, 'end')
  const [head = '', body = ''] = text.split('\r\n\r\n')
  const [statusLine = '', ...lines] = head.split('\r\n')
  return {
    status: Number(statusLine.split(' ')[1]),
    headers: Object.fromEntries(lines.map(line => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()])),
    body,
  }
}

/** A masked client frame; `payload` under 126 bytes. */
export function frame (opcode: number, payload: string | Buffer, { fin = true, rsv = 0 } = {}): Buffer {
  const bytes = Buffer.from(payload as string)
  const mask = Buffer.from([1, 2, 3, 4])
  const masked = bytes.map((byte, index) => byte ^ (mask[index % 4] as number))
  return Buffer.concat([Buffer.from([(fin ? 0x80 : 0) | rsv | opcode, 0x80 | bytes.length]), mask, masked])
}

/** An unmasked frame, which no client may send: it brings an `error` event. */
export const malformedFrame = Buffer.from([0x81, 0x01, 0x61])

/** All that the server has sent on a raw connection, as soon as the pattern is in it. */
export async function received (socket: Socket, pattern: RegExp): Promise<string> {
  let text = ''
  while (!pattern.test(text)) {
    const [chunk] = await once(socket, 'data')
    text += (chunk as Buffer).toString('latin1')
  }
  return text
}

/** A promise to be resolved from outside: the test decides when. */
export function deferred<T> (): { promise: Promise<T>, resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>(_resolve => { resolve = _resolve })
  return { promise, resolve }
}

/** Resolves when the server has this many connections. */
export async function connections (app: FastifyInstance, count: number): Promise<void> {
  const present = () => new Promise<number>((resolve, reject) => {
    app.server.getConnections((error, n) => error === null ? resolve(n) : reject(error))
  })
  while (await present() !== count) await new Promise(setImmediate)
}
