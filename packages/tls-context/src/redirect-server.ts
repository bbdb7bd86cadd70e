import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { arrayOf, func, integer, string } from '@fastkeep/options'
import { name } from './certificates/general-name.js'
import { checkOptions } from './errors.js'
import { httpsOrigin, redirectTarget, type RedirectTarget } from './redirect.js'

export interface RedirectServerOptions {
  /** An origin such as `https://example.org`, to which every request goes. */
  to?: string
  /** Names that are redirected to themselves; a request for another one gets a 400. */
  hosts?: readonly string[]
  /** The port of the HTTPS server, for `hosts`. Default: 443. */
  port?: number
  /**
   * The key authorization for a token of ACME's http-01 (RFC 8555 section 8.3), or nothing where the token is unknown.
   * Default: these requests are redirected too.
   */
  acmeChallenge?: (token: string) => string | undefined | Promise<string | undefined>
}

const optionRules = {
  to: string('an origin such as "https://example.org", without a path', httpsOrigin),
  hosts: arrayOf(name),
  port: integer(1, 65_535, 'a port'),
  acmeChallenge: func,
}

const challengePath = /^\/\.well-known\/acme-challenge\/([A-Za-z0-9_-]+)$/
const notHere = 'This server only redirects to HTTPS, and not for this name.'

/**
 * An HTTP server for port 80 that answers 308 to https, and ACME's http-01 challenges. It does not listen yet.
 *
 * Throws `OPTION_UNKNOWN`, `OPTION_INVALID` with `exitCode` 78; one of `to` and `hosts` is required.
 *
 * @example
 * createRedirectServer({ to: 'https://example.org', acmeChallenge: token => challenges.get(token) }).listen(80)
 */
export function createRedirectServer (options: RedirectServerOptions): Server {
  checkOptions(options, optionRules)
  const { to, hosts, port, acmeChallenge } = options
  if ((to === undefined) === (hosts === undefined)) {
    throw new checkOptions.OptionInvalid('tls-context: one of the options "to" and "hosts" says where to redirect to, and not both')
  }
  const names = new Set(hosts?.map(host => host.toLowerCase()))
  const target = redirectTarget({ origin: to, isOurs: host => names.has(host), port: () => port })
  // Small, because these requests have no business being large or slow.
  const server = createServer({ maxHeaderSize: 8_192, requestTimeout: 10_000, headersTimeout: 5_000, keepAliveTimeout: 1_000 }, (request, response) => {
    const [, token] = challengePath.exec(request.url ?? '') ?? []
    if (token === undefined || acmeChallenge === undefined) return redirect(request, response, target)
    answerChallenge(acmeChallenge, token, response).catch(() => { send(response, 500, 'The challenge could not be looked up.') })
  })
  server.on('upgrade', (_request, socket) => socket.destroy())
  return server
}

async function answerChallenge (acmeChallenge: NonNullable<RedirectServerOptions['acmeChallenge']>, token: string, response: ServerResponse): Promise<void> {
  const authorization = await acmeChallenge(token)
  if (authorization === undefined) return send(response, 404, 'There is no such challenge.')
  send(response, 200, authorization, { 'Content-Type': 'application/octet-stream' })
}

function redirect (request: IncomingMessage, response: ServerResponse, target: RedirectTarget): void {
  const location = target(request.headers.host, request.url ?? '/')
  if (location === undefined) send(response, 400, notHere)
  else send(response, 308, location, { Location: location })
}

function send (response: ServerResponse, status: number, text: string, headers: Record<string, string> = {}): void {
  if (response.headersSent) return
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff', Connection: 'close', ...headers }).end(text)
}
