import type { IncomingMessage, Server } from 'node:http'
import fastifyWebsocket from '@fastify/websocket'
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import type { WebSocket } from 'ws'
import { adopt, onSocketError } from './adopt.js'
import { createDrain, type DrainingEngine } from './drain.js'
import { RouteOptionsMisplaced } from './errors.js'
import type { FastkeepWebSocket, GuardedWebSocketHandler } from './fastify.js'
import { handshakeGuard, refuseUpgrade } from './handshake.js'
import { resolveOptions, resolveRouteOptions, type WebSocketPluginOptions } from './options.js'
import { report } from './report.js'
import type { Peer } from './socket.js'
import { Topics } from './topics.js'
import { Upgrades } from './upgrades.js'

const websocketPlugin: FastifyPluginAsync<WebSocketPluginOptions> = async (app, given) => {
  const options = resolveOptions(given)
  const { maxPayload, maxBufferedBytes, closeDeadline, handshakeTimeout } = options
  const peers = new WeakMap<FastifyRequest, Peer>()
  const upgrades = new Upgrades(app.server as Server, {
    handshakeTimeout,
    onTimeout: () => report(app.log, 'warn', 'refused', { code: 'FST_KEEP_WEBSOCKET_HANDSHAKE_TIMEOUT', handshakeTimeout },
      `WebSocket refused: its handshake took longer than ${handshakeTimeout} ms`),
  })
  const topics = new Topics()

  // @fastify/websocket makes the response to an upgrade and shows it to nobody but `routing`.
  const routing = app.routing.bind(app)
  app.routing = (request, response) => {
    upgrades.answering(request, response)
    routing(request, response)
  }

  // Before @fastify/websocket adds its own: it must wrap what this one has made of the route.
  app.addHook('onRoute', guardRoute)

  await app.register(fastifyWebsocket, {
    options: { server: upgrades as unknown as Server, maxPayload },
    errorHandler: (error, socket, request) => onSocketError(error, socket, closeDeadline, request.log),
    preClose: async () => {
      upgrades.close()
      await drain()
    },
  })

  const server = app.websocketServer
  const drain = createDrain({ server, upgrades, closeDeadline, log: app.log })
  server.on('connection', (_socket: WebSocket, request: IncomingMessage) => upgrades.settled(request))

  const control: FastkeepWebSocket = {
    publish: (topic, message) => topics.publish(topic, message),
    subscribers: topic => topics.subscribers(topic),
    drain: signal => drain(signal),
  }
  app.decorate('websocket', control)

  if (app.hasDecorator('engine')) app.getDecorator<DrainingEngine>('engine').server?.onDrain?.(control.drain)

  function guardRoute (route: RouteOptions): void {
    const takesWebSocket = route.websocket === true || route.wsHandler !== undefined
    // The HEAD route that Fastify adds to a GET route has the options of that one.
    if ([route.method].flat().every(method => method === 'HEAD')) {
      route.preParsing = [refuseUpgrade, route.preParsing ?? []].flat()
      return
    }
    if (!takesWebSocket) {
      if (route.wsOptions !== undefined) throw new RouteOptionsMisplaced(`${String(route.method)} ${route.url}`)
      route.preParsing = [refuseUpgrade, route.preParsing ?? []].flat()
      return
    }
    const { origin, authenticate } = resolveRouteOptions(options, route.wsOptions)
    const guard = handshakeGuard({
      origin,
      authenticate,
      isDraining: () => drain.hasBegun,
      admit: (request, peer) => peers.set(request, peer),
    })
    route.preParsing = [guard, route.preParsing ?? []].flat()
    if (route.websocket === true) route.handler = serve(route.handler as unknown as GuardedWebSocketHandler) as unknown as RouteOptions['handler']
    else route.wsHandler = serve(route.wsHandler as GuardedWebSocketHandler) as RouteOptions['wsHandler']
  }

  function serve (handler: GuardedWebSocketHandler) {
    return async function serveSocket (this: FastifyInstance, rawSocket: WebSocket, request: FastifyRequest): Promise<void> {
      const { socket, release, fail } = adopt(rawSocket, { peer: peers.get(request), topics, maxPayload, maxBufferedBytes, closeDeadline, log: request.log })
      try {
        await handler.call(this, socket, request)
        release()
      } catch (error) {
        fail(error)
      }
    }
  }
}

export const plugin = fp(websocketPlugin, { fastify: '5.x', name: '@fastkeep/websocket' })
