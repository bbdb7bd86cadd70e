import fp from 'fastify-plugin'
import * as exported from './exports.js'
import { plugin } from './plugin.js'

const registered = fp(plugin, { name: '@fastkeep/tls-context', fastify: '5.x' })

/** The Fastify plugin, and on it the named exports, since `require()` of this module gives the plugin alone. */
const tlsContext = Object.assign(registered, exported, { tlsContext: registered })

export default tlsContext
export { tlsContext, tlsContext as 'module.exports' }
export * from './exports.js'
