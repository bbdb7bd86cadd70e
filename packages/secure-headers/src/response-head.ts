import { ServerResponse } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { isHstsHost } from './headers/strict-transport-security.js'
import { mergeHead, toObject, type GivenHeaders } from './merge-head.js'
import type { Policy } from './policy.js'
import type { Connection } from './response-headers.js'

export type WriteHead = (this: ServerResponse, statusCode: number, ...rest: unknown[]) => ServerResponse

const NATIVE = ServerResponse.prototype.writeHead as WriteHead

const kGuard = Symbol('secure-headers.guard')

/** A socket, which has these over TLS. */
export type PerhapsTls = Pick<Partial<TLSSocket>, 'encrypted' | 'servername'>

/** What one response carries until its head is written. */
interface Guard {
  /** `undefined` sends none of the headers. */
  policy: Policy | undefined
  /** `undefined` for what is answered before there is a Fastify request. */
  readonly request: FastifyRequest | undefined
  readonly writeHead: WriteHead
  /** Headers as a list are the fastest form; another `writeHead` may know objects only. */
  readonly takesList: boolean
}

export interface GuardedResponse extends ServerResponse {
  [kGuard]?: Guard
}

/**
 * Adds the policy's headers to the response when its head is written, whoever writes it: Fastify, a stream, or a
 * handler that hijacked the reply. No earlier moment knows the status code, the content type, the nonce and what the
 * handler has set.
 */
export function guardHead (reply: FastifyReply, policy: Policy | undefined): void {
  const response: GuardedResponse = reply.raw
  const around = response[kGuard]
  if (around !== undefined) {
    response[kGuard] = { policy, request: reply.request, writeHead: around.writeHead, takesList: around.takesList }
    return
  }
  if (policy === undefined) return
  // Not the prototype's: another plugin, or an injected response, may have its own.
  const writeHead = response.writeHead as WriteHead
  response[kGuard] = { policy, request: reply.request, writeHead, takesList: writeHead === NATIVE }
  response.writeHead = writeHeadWithPolicy as ServerResponse['writeHead']
}

/** Makes a class of responses that have the policy's headers even where no request is guarded. */
export function guardClass (prototype: object, policy: Policy): void {
  const guarded = prototype as GuardedResponse
  const writeHead = guarded.writeHead as WriteHead
  guarded[kGuard] = { policy, request: undefined, writeHead, takesList: writeHead === NATIVE }
  guarded.writeHead = writeHeadWithPolicy as ServerResponse['writeHead']
}

/** The policy under which a response will be sent, as far as a hook has decided it. */
export function policyOf (response: GuardedResponse): Policy | undefined {
  return Object.hasOwn(response, kGuard) ? response[kGuard]?.policy : undefined
}

/** `writeHead(statusCode[, statusMessage][, headers])` of Node, with the policy's headers under the given ones. */
function writeHeadWithPolicy (this: GuardedResponse, statusCode: number, message?: unknown, headers?: unknown): ServerResponse {
  const { policy, request, writeHead, takesList } = this[kGuard] as Guard
  const hasMessage = typeof message === 'string'
  const given = (hasMessage ? headers : headers ?? message) as GivenHeaders | undefined
  if (policy === undefined || this.headersSent) {
    return hasMessage ? writeHead.call(this, statusCode, message, given) : writeHead.call(this, statusCode, given)
  }
  const list = mergeHead(this, given, {
    policy,
    request,
    connection: request === undefined ? connectionOf(this) : connection(request.protocol === 'https', request),
    isNotModified: statusCode === 304,
  })
  const merged = takesList ? list : toObject(list)
  return hasMessage ? writeHead.call(this, statusCode, message, merged) : writeHead.call(this, statusCode, merged)
}

function connection (isSecure: boolean, to: { readonly hostname: string }): Connection {
  if (!isSecure) return 'plain'
  return isHstsHost(to.hostname) ? 'hsts' : 'tls'
}

/** Of what is answered before there is a Fastify request. */
function connectionOf ({ req }: ServerResponse): Connection {
  return connectionOfSocket(req.socket as PerhapsTls, req.headers.host ?? req.headers[':authority'] as string | undefined)
}

/** @param host with or without a port; default: the one that the client named in the TLS handshake */
export function connectionOfSocket (socket: PerhapsTls, host?: string): Connection {
  const hostname = host ?? (typeof socket.servername === 'string' ? socket.servername : '')
  return connection(socket.encrypted === true, { hostname: hostname.replace(/:\d+$/, '') })
}
