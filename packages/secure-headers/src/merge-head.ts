import type { ServerResponse } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { contentClass } from './content-class.js'
import { WITH_NONCE, isAuthenticated } from './headers/cache-control.js'
import { SERVER_IDENTITY } from './headers/server-identity.js'
import { MANAGED_HEADERS } from './managed-headers.js'
import { nonceOf, nonceRead } from './nonce.js'
import type { CspNonce } from './nonce-views.js'
import type { Head, Policy } from './policy.js'
import type { Connection } from './response-headers.js'

/** What `writeHead` takes: an object, a list of names and values in turn, or a list of pairs. */
export type GivenHeaders = Readonly<Record<string, unknown>> | readonly unknown[]

/** What is known of a response when its head is written. */
export interface Moment {
  readonly policy: Policy
  readonly request: FastifyRequest | undefined
  readonly connection: Connection
  readonly isNotModified: boolean
}

/**
 * All headers that `writeHead` is to be given, names and values in turn: what was given, and under it the policy for
 * its content type. What was set on the response before wins too and stays where it is. The names that tell what runs
 * here are taken away from both.
 */
export function mergeHead (response: ServerResponse, given: GivenHeaders | undefined, moment: Moment): unknown[] {
  const pairs = Array.isArray(given) ? flat(given) : flatObject(given as Readonly<Record<string, unknown>> | undefined)
  const set = response.getHeaderNames()
  let contentType: unknown = set.length === 0 ? undefined : response.getHeader('content-type')
  let isPlain = set.length === 0
  for (let i = 0; i < pairs.length; i += 2) {
    const name = (pairs[i] as string).toLowerCase()
    if (name === 'content-type') contentType = pairs[i + 1]
    else if (MANAGED_HEADERS.has(name)) isPlain = false
  }

  const type = contentClass(contentType)
  const head = moment.policy.head(type, moment.connection, moment.isNotModified)
  const nonce = head.needsNonce ? nonceOf(response) : nonceRead(response)
  const policy = withNonce(head, nonce)
  const cacheControl = type === 'document' && !moment.isNotModified ? documentCacheControl(moment, nonce) : undefined
  if (cacheControl !== undefined) policy.push('cache-control', cacheControl)
  // Nothing in common is the rule, and the fastest.
  return isPlain ? policy.concat(pairs) : mergeWithCommonNames(response, set, pairs, policy, moment)
}

function withNonce (head: Head, nonce: CspNonce | undefined): unknown[] {
  const values: unknown[] = head.list.slice()
  if (nonce !== undefined) {
    for (const { index, around } of head.nonces()) values[index] = around.join(nonce.valueOf())
  }
  return values
}

/** What keeps a document from caches because of whom it is for. */
function documentCacheControl ({ policy: { settings: { cacheControl } }, request }: Moment, nonce: CspNonce | undefined): string | undefined {
  if (cacheControl === false || cacheControl.documents === 'always') return undefined
  if (cacheControl.documents === 'authenticated' && request !== undefined && isAuthenticated(cacheControl, request)) return cacheControl.value
  return nonce === undefined ? undefined : WITH_NONCE
}

function mergeWithCommonNames (
  response: ServerResponse,
  set: readonly string[],
  pairs: readonly unknown[],
  policy: readonly unknown[],
  { policy: { settings: { hideServerIdentity } } }: Moment
): unknown[] {
  const taken = new Set(set)
  const merged: unknown[] = []
  for (let i = 0; i < pairs.length; i += 2) {
    const name = (pairs[i] as string).toLowerCase()
    taken.add(name)
    if (!(hideServerIdentity && SERVER_IDENTITY.has(name))) merged.push(pairs[i], pairs[i + 1])
  }
  for (let i = 0; i < policy.length; i += 2) {
    if (!taken.has(policy[i] as string)) merged.push(policy[i], policy[i + 1])
  }
  if (hideServerIdentity) {
    for (const name of set) if (SERVER_IDENTITY.has(name)) response.removeHeader(name)
  }
  return merged
}

function flatObject (headers: Readonly<Record<string, unknown>> | undefined): unknown[] {
  const pairs: unknown[] = []
  if (headers === undefined || headers === null) return pairs
  for (const name of Object.keys(headers)) pairs.push(name, headers[name])
  return pairs
}

/** A copy, so that what Node would say to a wrong list it still says. */
function flat (list: readonly unknown[]): unknown[] {
  return (Array.isArray(list[0]) ? list.flat() : list).map((entry, i) => i % 2 === 0 ? String(entry) : entry)
}

/** The same headers as an object, with all values of a name that comes more than once, in any case. */
export function toObject (list: readonly unknown[]): Record<string, unknown> {
  const headers = Object.create(null) as Record<string, unknown>
  const names = new Map<string, string>()
  for (let i = 0; i < list.length; i += 2) {
    const given = list[i] as string
    const name = names.get(given.toLowerCase()) ?? given
    names.set(given.toLowerCase(), name)
    headers[name] = name in headers ? [headers[name], list[i + 1]].flat() : list[i + 1]
  }
  return headers
}
