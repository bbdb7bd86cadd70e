import { contentSecurityPolicy } from './helmet/content-security-policy.js'
import { fastifyHelmet as helmet, type FastifyHelmetOptions as Options, type FastifyHelmetRouteOptions as RouteOptions } from './helmet/plugin.js'

// require() gives this one value, so what else the module exports is reached through it.
const fastifyHelmet = Object.assign(helmet, { fastifyHelmet: helmet })

/** As @fastify/helmet has its types: `helmet.FastifyHelmetOptions`. */
// eslint-disable-next-line @typescript-eslint/no-redeclare
declare namespace fastifyHelmet {
  export type FastifyHelmetOptions = Options
  export type FastifyHelmetRouteOptions = RouteOptions
}

export default fastifyHelmet
export { fastifyHelmet, fastifyHelmet as 'module.exports', contentSecurityPolicy }
export { type FastifyHelmetOptions, type FastifyHelmetRouteOptions } from './helmet/plugin.js'
export { type HelmetOptions } from './helmet/headers.js'
