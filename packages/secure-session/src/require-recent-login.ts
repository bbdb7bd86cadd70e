import type { FastifyReply, FastifyRequest } from 'fastify'
import { RecentLoginRequired } from './errors.js'
import type { SessionMethods } from './session.js'

/**
 * Makes a hook for what only somebody may do who has just proved who they are: changing a password, paying (ASVS 5.0 7.5.1, 7.5.3).
 * It refuses with `FST_KEEP_SECURE_SESSION_RECENT_LOGIN_REQUIRED` (401) unless `login()` was called within `maxAge` seconds.
 *
 * @param maxAge seconds
 * @param name of the session, default `'session'`
 * @example app.post('/password', { onRequest: requireRecentLogin(300) }, handler)
 */
export function requireRecentLogin (maxAge: number, name = 'session'): (request: FastifyRequest, reply: FastifyReply) => Promise<void> {
  if (!Number.isFinite(maxAge) || maxAge <= 0) throw new TypeError(`requireRecentLogin() takes a number of seconds above 0, got ${String(maxAge)}`)
  return async request => {
    const session = Reflect.get(request, name) as SessionMethods
    await session.load()
    const { authenticatedAt } = session
    if (authenticatedAt === undefined || Date.now() / 1000 - authenticatedAt > maxAge) throw new RecentLoginRequired(maxAge)
  }
}
