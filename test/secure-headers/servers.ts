import { once } from 'node:events'
import http, { type IncomingHttpHeaders } from 'node:http'
import https from 'node:https'
import { type AddressInfo } from 'node:net'
import { type FastifyReply, type FastifyRequest } from 'fastify'

export interface Answer {
  readonly status: number
  readonly reason: string
  readonly headers: IncomingHttpHeaders
  /** Names in the order and number in which they came. */
  readonly names: readonly string[]
  readonly body: string
}

interface Asked {
  readonly method?: string
  readonly headers?: Record<string, string>
  /** The certificate to trust; asks over TLS. */
  readonly ca?: string
}

interface Closing {
  teardown (close: () => Promise<void>): void
}

/** What all kinds of Fastify instance have, over HTTP, HTTPS and HTTP/2. */
interface Service {
  listen (options: { host: string, port: number }): Promise<string>
  close (): PromiseLike<unknown>
  readonly server: { address (): AddressInfo | string | null }
}

/** A handler that answers with a page, which has the whole policy. */
export async function page (_: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  return await reply.type('text/html').send('x')
}

/** A handler that answers with its nonce, as a page. */
export async function noncePage (_: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  return await reply.type('text/html').send(String(reply.cspNonce))
}

/** Listens on a free port of 127.0.0.1 until the test ends, and gives the port. */
export async function listen (t: Closing, app: Service): Promise<number> {
  await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(async () => { await app.close() })
  return (app.server.address() as AddressInfo).port
}

/** Asks for a path of 127.0.0.1, by default as the host `example.test`. */
export async function ask (port: number, path = '/', { method = 'GET', headers = {}, ca }: Asked = {}): Promise<Answer> {
  const options = {
    host: '127.0.0.1', port, path, method, agent: false, headers: { host: `example.test:${port}`, ...headers },
  }
  const request = ca === undefined
    ? http.request(options)
    : https.request({ ...options, ca, servername: 'example.test' })
  request.end()
  const [response] = await once(request, 'response') as [http.IncomingMessage]
  let body = ''
  for await (const chunk of response.setEncoding('utf8')) body += chunk
  return {
    status: response.statusCode ?? 0,
    reason: response.statusMessage ?? '',
    headers: response.headers,
    names: response.rawHeaders.filter((_, i) => i % 2 === 0).map(name => name.toLowerCase()),
    body,
  }
}

/** The sources of one directive of an answer's Content-Security-Policy. */
export function sources (answer: Answer, directive: string): string | undefined {
  const policy = String(answer.headers['content-security-policy'])
  return policy.split('; ').find(part => part.split(' ')[0] === directive)?.slice(directive.length + 1)
}
