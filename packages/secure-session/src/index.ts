import fp from 'fastify-plugin'
import { secureSessionPlugin } from './plugin.js'
import { requireRecentLogin } from './require-recent-login.js'
import { generateKey } from './sealed/key-ring.js'
import { MemoryStore } from './stores/memory.js'
import { mergeFields } from './stores/store.js'

export { generateKey, MemoryStore, mergeFields, requireRecentLogin }
export { type CookiePrefix } from './cookie-policy.js'
export { type CsrfOptions } from './csrf.js'
export { type RefusalReason, type SessionCounts, type SessionEvent, type SessionEventName, type SessionRefused } from './events.js'
export { type Moment } from './lifetimes.js'
export { type RouteSession, type SecureSessionOptions } from './options.js'
export { type End, type Revocation } from './sealed/ended-sessions.js'
export { type NotBefore } from './sealed/sealed-sessions.js'
export { type Session, type SessionEndReason, type SessionMethods } from './session.js'
export { type SessionPolicy, type Sessions } from './sessions.js'
export { type MemoryStoreOptions } from './stores/memory.js'
export { type FieldChanges, type Renaming, type SessionStore, type SessionSummary, type StoredSession } from './stores/store.js'
// By `*`, because TypeScript merges an augmentation of this module into what is exported so, and not by name.
export type * from './session-data.js'

const registered = fp(secureSessionPlugin, { fastify: '5.x', name: '@fastkeep/secure-session' })

/**
 * Sessions in a sealed cookie (AES-256-GCM), or in a store.
 *
 * @example
 * await app.register(secureSession, { keyFile: '/run/credentials/app/session-keys' })
 * app.get('/', async request => `Hello ${request.session.user ?? 'stranger'}`)
 */
// require() returns only what is exported as 'module.exports': the other exports are its properties.
const plugin = Object.assign(registered, { secureSession: registered, generateKey, MemoryStore, mergeFields, requireRecentLogin })

export default plugin
export { plugin as secureSession, plugin as 'module.exports' }
