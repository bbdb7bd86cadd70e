// By hand, and outside of what is compiled: it gives `request.session` another type than the package itself does,
// and a program has one of the two.
import type { CookieSerializeOptions } from '@fastify/cookie'
import type { FastifyBaseLogger, FastifyPluginCallback } from 'fastify'
import type { SecureSessionPluginOptions } from '../dist/compat/fastify-secure-session.js'

export type { SecureSessionPluginOptions }

/** The fields of a session: an application adds its own by declaration merging. */
export interface SessionData {}

export type Session<T = SessionData> = Partial<T> & {
  changed: boolean
  deleted: boolean
  get<Key extends keyof T> (key: Key): T[Key] | undefined
  // As in @fastify/secure-session, whose users this is for.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  get (key: string): any
  set<Key extends keyof T> (key: Key, value: T[Key] | undefined): void
  data (): T | undefined
  delete (): void
  options (options: CookieSerializeOptions): void
  touch (): void
  regenerate (ignoreFields?: string[]): void
}

declare module 'fastify' {
  interface FastifyInstance {
    createSecureSession (data?: Record<string, unknown>): Session
    decodeSecureSession (cookie: string | undefined, log?: FastifyBaseLogger, sessionName?: string): Session | null
    encodeSecureSession (session: Session, sessionName?: string): string
  }

  interface FastifyRequest {
    session: Session
  }
}

type Options = SecureSessionPluginOptions | Array<SecureSessionPluginOptions & { readonly sessionName: string }>

export declare const fastifySecureSession: FastifyPluginCallback<Options>
export default fastifySecureSession
export { fastifySecureSession as 'module.exports' }
