import type { WebsocketPluginOptions as LibraryOptions } from '@fastify/websocket'
import { optionChecker } from '@fastkeep/options'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { guardApp } from '../plugin.js'
import { resolveGuards, type Switches, type WebsocketGuards } from './guards.js'

/** The options of @fastify/websocket 11, and the guards to turn on. */
export interface WebsocketPluginOptions extends LibraryOptions {
  /** Default: none. */
  guards?: WebsocketGuards
}

const { OptionInvalid } = optionChecker('websocket')

const compatPlugin: FastifyPluginAsync<WebsocketPluginOptions> = async (app, { guards = {}, ...library }) => {
  const { switches, options } = resolveGuards(guards)
  const { maxPayload = library.options?.maxPayload } = guards
  checkContradictions(library, guards, switches)
  await guardApp(app, { ...options, maxPayload: maxPayload ?? options.maxPayload }, {
    ...library,
    errors: !switches.errors,
    earlyMessages: !switches.earlyMessages,
    drain: !switches.drain,
    otherRoutes: !switches.otherRoutes,
  })
}

/** One of the two would be ignored. */
function checkContradictions ({ errorHandler, preClose, options = {} }: LibraryOptions, { pingInterval = 0, idleTimeout = 0, lifetime = 0, protocols }: WebsocketGuards, { errors, drain }: Switches): void {
  const contradictions: Array<[isOne: boolean, option: string, guard: string]> = [
    [errors && errorHandler !== undefined, '"errorHandler"', '"guards.errors"'],
    [drain && preClose !== undefined, '"preClose"', '"guards.drain"'],
    [protocols !== undefined && options.handleProtocols !== undefined, '"options.handleProtocols"', '"guards.protocols"'],
    [options.clientTracking === false && (drain || pingInterval + idleTimeout + lifetime > 0), '"options.clientTracking: false"',
      'guards that look at all sockets ("drain", "pingInterval", "idleTimeout", "lifetime")'],
  ]
  for (const [isOne, option, guard] of contradictions) {
    if (isOne) throw Object.assign(new OptionInvalid(`websocket: ${option} and ${guard} exclude each other; leave one of them out`), { exitCode: 78 })
  }
}

/**
 * The options, decorators, behaviour and messages of @fastify/websocket 11: swap the import. What differs is listed in
 * the package's README. Then turn the guards on, one by one.
 *
 * @example
 * import websocket from '@fastkeep/websocket/compat'
 * await app.register(websocket, { options: { maxPayload: 1048576 }, guards: { origin: 'same-origin', drain: true } })
 */
const registered = fp(compatPlugin, { fastify: '5.x', name: '@fastkeep/websocket' })

// require() gives this one value, so what else the module exports is reached through it.
export const fastifyWebsocket = Object.assign(registered, { fastifyWebsocket: registered })

export default fastifyWebsocket
export { fastifyWebsocket as 'module.exports' }
export type { RouteOptions, WebSocket, WebsocketHandler } from '@fastify/websocket'
export type { WebsocketGuards } from './guards.js'
