import type { ServerResponse } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { NonceTooLate } from './errors.js'
import { SERVER_IDENTITY } from './headers/server-identity.js'
import { isHstsHost } from './headers/strict-transport-security.js'
import { createNonce } from './nonce.js'
import { responseHeaders, type ConnectionHeaders, type Headers, type Policy } from './policy.js'

type GivenHeaders = Readonly<Record<string, unknown>> | readonly unknown[]
type WriteHead = (this: ServerResponse, statusCode: number, ...rest: unknown[]) => ServerResponse

const kGuard = Symbol('secure-headers.guard')
const kNonce = Symbol('secure-headers.nonce')

/** What one response carries until its head is written. */
interface Guard {
  readonly request: FastifyRequest
  readonly writeHead: WriteHead
  readonly policy: Policy
}

interface GuardedResponse extends ServerResponse {
  [kGuard]?: Guard
  [kNonce]?: string
}

/**
 * Adds the policy's headers to the response when its head is written, whoever writes it: Fastify, a stream, or a
 * handler that hijacked the reply. No earlier moment knows the status code, the nonce and what the handler has set.
 */
export function guardHead (reply: FastifyReply, policy: Policy): void {
  const response: GuardedResponse = reply.raw
  // Not the prototype's: another plugin, or an injected response, may have its own.
  response[kGuard] = { request: reply.request, writeHead: response.writeHead as WriteHead, policy }
  response.writeHead = writeHeadWithPolicy as ServerResponse['writeHead']
}

/**
 * The nonce of one response, made when it is first read.
 *
 * @throws `FST_KEEP_SECURE_HEADERS_NONCE_TOO_LATE` when it is first read after the head was sent
 */
export function nonceOf (response: GuardedResponse): string {
  if (response[kNonce] === undefined) {
    if (response.headersSent) throw new NonceTooLate()
    response[kNonce] = createNonce()
  }
  return response[kNonce]
}

function writeHeadWithPolicy (this: GuardedResponse, statusCode: number, ...rest: unknown[]): ServerResponse {
  const { request, writeHead, policy } = this[kGuard] as Guard
  // writeHead(statusCode[, statusMessage][, headers])
  const hasMessage = typeof rest[0] === 'string'
  const given = (hasMessage ? rest[1] : rest[1] ?? rest[0]) as GivenHeaders | undefined
  const headers = mergeHeaders(this, responseHeaders(forConnection(policy, request), statusCode, this[kNonce]), given)
  return hasMessage ? writeHead.call(this, statusCode, rest[0], headers) : writeHead.call(this, statusCode, headers)
}

function forConnection (policy: Policy, request: FastifyRequest): ConnectionHeaders {
  if (request.protocol !== 'https') return policy.plain
  return isHstsHost(request.hostname) ? policy.secureWithHsts : policy.secure
}

/** The policy's headers under what the handler gives, which wins; without the names that tell what runs here. */
function mergeHeaders (response: ServerResponse, policy: Headers, given: GivenHeaders | undefined): GivenHeaders {
  const set = response.getHeaderNames()
  for (const name of set) if (SERVER_IDENTITY.has(name)) response.removeHeader(name)

  const merged: Record<string, unknown> = { ...policy }
  for (const name of set) delete merged[name]
  if (Array.isArray(given)) return mergeIntoList(merged, given)
  for (const name of Object.keys(given ?? {})) {
    const lowerCase = name.toLowerCase()
    if (SERVER_IDENTITY.has(lowerCase)) continue
    if (lowerCase !== name) delete merged[lowerCase]
    merged[name] = (given as Readonly<Record<string, unknown>>)[name]
  }
  return merged
}

/** The same for headers given as a list, of names and values in turn or of pairs; the list keeps its form. */
function mergeIntoList (policy: Record<string, unknown>, given: readonly unknown[]): readonly unknown[] {
  const isOfPairs = Array.isArray(given[0])
  const pairs = isOfPairs ? given as ReadonlyArray<readonly [string, unknown]> : toPairs(given)
  for (const [name] of pairs) delete policy[name.toLowerCase()]
  const merged = [...pairs.filter(([name]) => !SERVER_IDENTITY.has(name.toLowerCase())), ...Object.entries(policy)]
  return isOfPairs ? merged : merged.flat()
}

function toPairs (list: readonly unknown[]): Array<[string, unknown]> {
  const pairs: Array<[string, unknown]> = []
  for (let i = 0; i < list.length; i += 2) pairs.push([String(list[i]), list[i + 1]])
  return pairs
}
