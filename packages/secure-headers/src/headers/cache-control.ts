import { func, oneOf, type OptionRules } from '@fastkeep/options'
import type { FastifyRequest } from 'fastify'

export interface CacheControlOptions {
  /** Default `no-store`. */
  readonly value?: 'no-store' | 'no-store, max-age=0'
  /**
   * Which documents have it, beside `api` answers, which always do: `authenticated` (default) those whose request was
   * authenticated, `always` all, `never` none.
   */
  readonly documents?: 'authenticated' | 'always' | 'never'
  /**
   * Whether a request was authenticated, asked when the head of the response is written. Default: it carried an
   * `Authorization` header. A function that throws counts as `true`.
   *
   * @example request => request.session.user !== undefined
   */
  readonly isAuthenticated?: (request: FastifyRequest) => boolean
}

export type CacheControl = Readonly<Required<CacheControlOptions>>

/** Data goes to no cache unless the handler says so. */
export const CACHE_CONTROL_DEFAULTS: CacheControl = {
  value: 'no-store',
  documents: 'authenticated',
  isAuthenticated: ({ headers }) => headers.authorization !== undefined,
}

export const CACHE_CONTROL_RULES: OptionRules = {
  value: oneOf(['no-store', 'no-store, max-age=0']),
  documents: oneOf(['authenticated', 'always', 'never']),
  isAuthenticated: func,
}

/** A document with a nonce of its own is for one visitor. */
export const WITH_NONCE = 'private'

/** The inherited values with the given ones laid over them. */
export function mergeCacheControl (inherited: CacheControl, given: CacheControlOptions): CacheControl {
  return {
    value: given.value ?? inherited.value,
    documents: given.documents ?? inherited.documents,
    isAuthenticated: given.isAuthenticated ?? inherited.isAuthenticated,
  }
}

/** A doubt is answered with yes: what is kept from a cache can be asked for again. */
export function isAuthenticated (policy: CacheControl, request: FastifyRequest): boolean {
  try {
    return policy.isAuthenticated(request) !== false
  } catch {
    return true
  }
}
