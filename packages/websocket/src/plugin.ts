import type { IncomingMessage, Server } from 'node:http'
import fastifyWebsocket from '@fastify/websocket'
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import type { WebSocket } from 'ws'
import { brokerFor, connectBroker } from './brokers/connect.js'
import { createDrain, type DrainingEngine } from './drain.js'
import type { FastkeepWebSocket, GuardedWebSocketHandler } from './fastify.js'
import { guardedSocketClass, type InnerSocket } from './guarded-socket.js'
import { handshakeGuard, refuseUpgrade } from './handshake.js'
import { injectAnswering } from './inject.js'
import { Liveness } from './liveness.js'
import { resolveOptions, type WebSocketPluginOptions } from './options.js'
import { report } from './report.js'
import { Routes } from './routes.js'
import { closeWithSession } from './session-end.js'
import { SocketGuard } from './socket-guard.js'
import { chooseProtocol } from './subprotocol.js'
import { Topics } from './topics.js'
import { Upgrades } from './upgrades.js'

/** The routes behind each `app.websocket`, for a registration further down. */
const routesOf = new WeakMap<FastkeepWebSocket, Routes>()

const websocketPlugin: FastifyPluginAsync<WebSocketPluginOptions> = async (app, given) => {
  const above = app.hasDecorator('websocket') ? routesOf.get(app.websocket) : undefined
  if (above === undefined) await guardApp(app, given)
  else above.addScope(app, given)
}

async function guardApp (app: FastifyInstance, given: WebSocketPluginOptions): Promise<void> {
  const options = resolveOptions(given)
  const { closeDeadline, handshakeTimeout, drainWindow, pingInterval } = options
  const engine = app.hasDecorator('engine') ? app.getDecorator<DrainingEngine>('engine').server : undefined
  const routes = new Routes(app, options)
  const broker = brokerFor(app, options.broker)
  const topics = new Topics(broker)
  const upgrades = new Upgrades(app.server as Server, {
    handshakeTimeout,
    onTimeout: handshakeTimeout => report(app.log, 'warn', 'refused', { code: 'FST_KEEP_WEBSOCKET_HANDSHAKE_TIMEOUT', handshakeTimeout },
      `WebSocket refused: its handshake took longer than ${handshakeTimeout} ms`),
  })

  // @fastify/websocket makes the response to an upgrade and shows it to nobody but `routing`.
  const routing = app.routing.bind(app)
  app.routing = (request, response) => {
    upgrades.answering(request, response)
    routing(request, response)
  }

  // Before @fastify/websocket adds its own: it must wrap what this one has made of the route.
  app.addHook('onRoute', guardRoute)

  // A variable: `closeTimeout` is not in the types of ws yet.
  const serverOptions = {
    server: upgrades as unknown as Server,
    maxPayload: options.maxPayload,
    closeTimeout: closeDeadline,
    handleProtocols: (offered: ReadonlySet<string>, request: IncomingMessage) => chooseProtocol(offered, upgrades.admissionOf(request)?.policy.protocols),
  }
  await app.register(fastifyWebsocket, {
    options: serverOptions,
    errorHandler: (error, socket) => (socket as InnerSocket).guard.lost(error),
    preClose: async () => {
      upgrades.close()
      await drain()
    },
  })

  const server = app.websocketServer
  const liveness = new Liveness(server.clients, pingInterval)
  const drain = createDrain({ server, upgrades, isReplaced: () => engine?.isHandedOver === true, drainWindow, closeDeadline, log: app.log })
  server.options.WebSocket = guardedSocketClass(server.options.WebSocket as NonNullable<typeof server.options.WebSocket>, (socket, connection) => {
    const admission = upgrades.takeAdmission(connection) ?? routes.stranger(app.log)
    return new SocketGuard(socket, connection, admission, topics, liveness.add(performance.now()))
  })
  server.on('connection', (_socket: WebSocket, request: IncomingMessage) => upgrades.settled(request))
  app.injectWS = injectAnswering(app.injectWS)

  const control: FastkeepWebSocket = {
    publish: (topic, message, { key } = {}) => topics.publish(topic, message, key),
    subscribers: topic => topics.subscribers(topic),
    presence: topic => topics.presence(topic),
    message: definition => definition,
    statistics: () => routes.statistics(server.clients),
    describe: route => routes.describe(route),
    drain: signal => drain(signal),
  }
  app.decorate('websocket', control)
  routesOf.set(control, routes)
  engine?.onDrain?.(control.drain)
  connectBroker(app, broker, topics)
  app.addHook('onClose', async () => liveness.stop())

  function guardRoute (this: FastifyInstance, route: RouteOptions): void {
    const policy = routes.add(this, route)
    if (policy === undefined) {
      route.preParsing = [refuseUpgrade, route.preParsing ?? []].flat()
      return
    }
    liveness.expect(policy.idleTimeout)
    liveness.expect(policy.lifetime)
    const guard = handshakeGuard({
      policy,
      isDraining: () => drain.hasBegun,
      begin: request => upgrades.limit(request.raw, policy.handshakeTimeout),
      admit: (request, peer, seat) => upgrades.admit(request.raw, { peer, policy, seat, log: request.log }) || seat.leave(),
    })
    route.preParsing = [guard, route.preParsing ?? []].flat()
    if (route.websocket) route.handler = serve(route.handler as unknown as GuardedWebSocketHandler) as unknown as RouteOptions['handler']
    else route.wsHandler = serve(route.wsHandler as GuardedWebSocketHandler) as RouteOptions['wsHandler']
  }
}

/** The handler of a route as @fastify/websocket calls it. */
function serve (handler: GuardedWebSocketHandler) {
  return async function serveSocket (this: FastifyInstance, rawSocket: WebSocket, request: FastifyRequest): Promise<void> {
    const socket = rawSocket as InnerSocket
    const { guard } = socket
    try {
      closeWithSession(socket, request)
      const hasBegun = guard.begin(request)
      if (hasBegun !== true && !await hasBegun) return
      await handler.call(this, socket, request)
      guard.release()
    } catch (error) {
      guard.fail(error)
    }
  }
}

export const plugin = fp(websocketPlugin, { fastify: '5.x', name: '@fastkeep/websocket' })
