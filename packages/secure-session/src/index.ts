import fp from 'fastify-plugin'
import { secureSessionPlugin } from './plugin.js'
import { generateKey } from './sealed/key-ring.js'

export { generateKey }
export { type SecureSessionOptions } from './options.js'
export { type RefusalReason, type SessionRefused } from './refusals.js'
export { type Session, type SessionMethods } from './session.js'
// By `*`, because TypeScript merges an augmentation of this module into what is exported so, and not by name.
export type * from './session-data.js'

const registered = fp(secureSessionPlugin, { fastify: '5.x', name: '@fastkeep/secure-session' })

/**
 * Sessions in a sealed cookie (AES-256-GCM). Registers @fastify/cookie where it is not there yet.
 *
 * @example
 * await app.register(secureSession, { keyFile: '/run/credentials/app/session-keys' })
 * app.get('/', async request => `Hello ${request.session.user ?? 'stranger'}`)
 */
// require() returns only what is exported as 'module.exports': the other exports are its properties.
const plugin = Object.assign(registered, { secureSession: registered, generateKey })

export default plugin
export { plugin as secureSession, plugin as 'module.exports' }
