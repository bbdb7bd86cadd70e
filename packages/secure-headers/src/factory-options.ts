import http, { STATUS_CODES, type ServerResponse } from 'node:http'
import http2 from 'node:http2'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { FactoryOptionInvalid } from './errors.js'
import { checkPluginOptions, type SecureHeadersPluginOptions } from './options.js'
import { compilePolicy, warm, type Policy } from './policy.js'
import { connectionOfSocket, guardClass, type PerhapsTls } from './response-head.js'
import { DEFAULT_SETTINGS, mergeSettings } from './settings.js'

type ResponseClass = new (...args: never[]) => object

/** The factory options that this reads or sets. */
interface FactoryOptions {
  readonly http?: object | null
  readonly https?: object | null
  readonly http2?: boolean
  readonly serverFactory?: unknown
  readonly clientErrorHandler?: unknown
}

/**
 * Options for Fastify's factory that give the policy's headers also to what is answered outside the router: a
 * malformed URL (400), a too long parameter (414), malformed HTTP (400), too large headers (431), a request that does
 * not end in time (408), a request while the service closes (503).
 *
 * @param options all other options of the factory: limits and TLS have their place among those that this sets
 * @param policy what the plugin is registered with, so that these answers have the same policy; default: the defaults
 * @throws `FST_KEEP_SECURE_HEADERS_FACTORY_OPTION` for `serverFactory` and `clientErrorHandler`, and errors of options
 * @example
 * const policy = { xFrameOptions: 'SAMEORIGIN' }
 * const app = Fastify(hardenedFactoryOptions({ ...serverOptions(tls.options), logger: true }, policy))
 * await app.register(secureHeaders, policy)
 */
export function hardenedFactoryOptions<Options extends object = object> (
  options: Options = {} as Options,
  { enabled = true, ...policyOptions }: SecureHeadersPluginOptions = {}
): Options {
  checkPluginOptions({ enabled, ...policyOptions })
  const factory: FactoryOptions = options
  refuse(factory, 'serverFactory', 'makes the server itself: give the server a ServerResponse there')
  refuse(factory, 'clientErrorHandler', 'is set by hardenedFactoryOptions, which answers malformed requests: leave it out, or spread yours over the outcome')
  if (!enabled) return options

  const policy = warm(compilePolicy({
    ...mergeSettings(DEFAULT_SETTINGS, policyOptions, { name: 'factory options' }),
    // These answers are data; what a page reports goes by the pages' own headers.
    reporting: false,
  }))
  const isTls = typeof factory.https === 'object' && factory.https !== null
  const isHttp2 = factory.http2 === true
  const key = isTls ? 'https' : isHttp2 ? undefined : 'http'
  return {
    ...options,
    ...key !== undefined && { [key]: { ...factory[key], ...responseClasses(factory[key] ?? {}, policy, isHttp2) } },
    // Fastify binds it to the instance.
    clientErrorHandler (this: FastifyInstance, error: NodeJS.ErrnoException, socket: Socket) {
      if (answerClientError(error, socket, policy)) this.log.trace({ err: error }, 'client error')
    },
  }
}

function refuse (options: FactoryOptions, option: 'serverFactory' | 'clientErrorHandler', why: string): void {
  if (options[option] !== undefined) throw new FactoryOptionInvalid(`the factory option "${option}" ${why}`)
}

/** The classes that a server makes its responses of, each under the option that Node has for it. */
function responseClasses (given: object, policy: Policy, isHttp2: boolean): Record<string, ResponseClass> {
  const defaults: Readonly<Record<string, ResponseClass>> = isHttp2
    ? { Http2ServerResponse: http2.Http2ServerResponse, Http1ServerResponse: http.ServerResponse }
    : { ServerResponse: http.ServerResponse }
  return Object.fromEntries(Object.entries(defaults).map(([option, Default]) => {
    const Base = (given as Readonly<Record<string, ResponseClass | undefined>>)[option] ?? Default
    class HardenedResponse extends Base {}
    guardClass(HardenedResponse.prototype as ServerResponse, policy)
    return [option, HardenedResponse]
  }))
}

/** By the code of Node's `clientError`; any other is a 400. */
const CLIENT_ERRORS: Readonly<Record<string, readonly [statusCode: number, message: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'Exceeded maximum allowed HTTP header size'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'Exceeded maximum allowed size of chunk extensions'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Client Timeout'],
}

/**
 * There is no response to write the head of, only a socket.
 *
 * @returns whether the client was still there
 */
function answerClientError (error: NodeJS.ErrnoException, socket: Socket, policy: Policy): boolean {
  if (error.code === 'ECONNRESET' || socket.destroyed) return false
  if (socket.writable && !isAnswering(socket)) {
    const [statusCode, message] = CLIENT_ERRORS[error.code ?? ''] ?? [400, 'Client Error']
    const body = JSON.stringify({ error: STATUS_CODES[statusCode], message, statusCode })
    const { list } = policy.head('api', connectionOfSocket(socket as PerhapsTls), false)
    const headers = ['content-type', 'application/json; charset=utf-8', 'content-length', String(body.length), 'connection', 'close', ...list]
    const lines = headers.flatMap((name, i) => i % 2 === 0 ? [`${name}: ${headers[i + 1]}`] : [])
    socket.write(`HTTP/1.1 ${statusCode} ${STATUS_CODES[statusCode]}\r\n${lines.join('\r\n')}\r\n\r\n${body}`)
  }
  socket.destroy(error)
  return true
}

/** An answer to an earlier request of this connection is under way: a second head would stand in its body. */
function isAnswering (socket: Socket): boolean {
  return (socket as { _httpMessage?: { headersSent?: boolean } | null })._httpMessage?.headersSent === true
}
