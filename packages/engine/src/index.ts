import * as exported from './exports.js'
import { engine as plugin } from './fastify.js'

/** The plugin, with everything that the package exports: what `require('@fastkeep/engine')` gives. */
export const engine = Object.assign(plugin, exported, { default: plugin })

export default engine
export { engine as 'module.exports' }
export * from './exports.js'
