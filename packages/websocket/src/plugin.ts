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
import type { LeftToLibrary } from './left-to-library.js'
import { Liveness } from './liveness.js'
import { resolveOptions, type ResolvedOptions, type WebSocketPluginOptions } from './options.js'
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
  if (above === undefined) await guardApp(app, resolveOptions(given))
  else above.addScope(app, given)
}

export async function guardApp (app: FastifyInstance, options: ResolvedOptions, left: LeftToLibrary = {}): Promise<void> {
  const { closeDeadline, handshakeTimeout, drainWindow, pingInterval } = options
  const engine = app.hasDecorator('engine') ? app.getDecorator<DrainingEngine>('engine') : undefined
  const routes = new Routes(app, options)
  const broker = brokerFor(app, options.broker)
  const topics = new Topics(broker)
  const upgrades = new Upgrades(left.options?.server ?? app.server as Server, {
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

  const liveness = new Liveness(() => app.websocketServer.clients ?? [], pingInterval)

  // Before @fastify/websocket adds its own: it must wrap what this one has made of the route.
  app.addHook('onRoute', guardRoute)

  // A variable: `closeTimeout` is not in the types of ws yet.
  const serverOptions = {
    closeTimeout: closeDeadline,
    handleProtocols: (offered: ReadonlySet<string>, request: IncomingMessage) => chooseProtocol(offered, upgrades.admissionOf(request)?.policy.protocols),
    ...options.options,
    ...left.options,
    server: upgrades as unknown as Server,
    maxPayload: options.maxPayload,
  }
  await app.register(fastifyWebsocket, {
    options: serverOptions,
    ...left.errors && { errorHandler: left.errorHandler },
    ...left.drain ? { preClose: left.preClose } : { preClose: closeAll },
  })

  const server = app.websocketServer
  const drain = createDrain({ server, upgrades, isReplaced: () => engine?.server?.isHandedOver === true, drainWindow, closeDeadline, log: app.log })
  server.options.WebSocket = guardedSocketClass(server.options.WebSocket as NonNullable<typeof server.options.WebSocket>, (socket, connection) => {
    const admission = upgrades.takeAdmission(connection) ?? routes.stranger(app.log)
    return new SocketGuard(socket, connection, admission, topics, liveness.add(performance.now()), left)
  })
  server.on('connection', (_socket: WebSocket, request: IncomingMessage) => upgrades.upgraded(request))
  app.injectWS = injectAnswering(app)

  const control: FastkeepWebSocket = {
    publish: (topic, message, { key } = {}) => topics.publish(topic, message, key),
    subscribers: topic => topics.subscribers(topic),
    presence: topic => topics.presence(topic),
    message: definition => definition,
    statistics: () => routes.statistics(server.clients ?? []),
    describe: route => routes.describe(route),
    drain: signal => drain(signal),
  }
  app.decorate('websocket', control)
  routesOf.set(control, routes)
  if (!left.drain) engine?.server?.onDrain?.(control.drain)
  const leaveStatus = engine?.addStatus?.('websockets', () => control.statistics())
  connectBroker(app, broker, topics)
  app.addHook('onClose', async () => {
    leaveStatus?.()
    upgrades.detach()
    liveness.stop()
  })

  async function closeAll (): Promise<void> {
    upgrades.close()
    await drain()
  }

  function guardRoute (this: FastifyInstance, route: RouteOptions): void {
    const policy = routes.add(this, route)
    if (policy === undefined) {
      if (left.otherRoutes) return
      route.preParsing = [refuseUpgrade, route.preParsing ?? []].flat()
      return
    }
    liveness.expect(policy.idleTimeout)
    liveness.expect(policy.lifetime)
    upgrades.expect(policy.handshakeTimeout)
    const guard = handshakeGuard({
      policy,
      isDraining: () => drain.hasBegun,
      begin: (request, seat) => upgrades.begin(request.raw, seat, policy.handshakeTimeout),
      admit: (request, peer, seat) => upgrades.admit(request.raw, { peer, policy, seat, log: request.log }) || seat.leave(),
    })
    route.preParsing = [guard, route.preParsing ?? []].flat()
    const handler = (route.websocket ? route.handler : route.wsHandler) as unknown as GuardedWebSocketHandler
    // @fastify/websocket says what is wrong with one that is no function.
    const served = typeof handler === 'function' ? serve(handler, left) : handler
    Object.assign(route, route.websocket ? { handler: served } : { wsHandler: served })
  }
}

/** The handler of a route as @fastify/websocket calls it. */
function serve (handler: GuardedWebSocketHandler, left: LeftToLibrary) {
  return async function serveSocket (this: FastifyInstance, rawSocket: WebSocket, request: FastifyRequest): Promise<void> {
    const socket = rawSocket as InnerSocket
    const { guard } = socket
    if (!left.errors) dropLastListener(socket, 'error')
    try {
      closeWithSession(socket, request)
      const hasBegun = guard.begin(request)
      if (hasBegun !== true && !await hasBegun) return
      await handler.call(this, socket, request)
      guard.release()
    } catch (error) {
      if (left.errors) throw error
      guard.fail(error)
    }
  }
}

/** The one that @fastify/websocket has just added: it keeps the request for as long as the socket lives. */
function dropLastListener (socket: InnerSocket, event: string): void {
  const listener = socket.rawListeners(event).at(-1) as ((...args: unknown[]) => void) | undefined
  if (listener !== undefined) socket.off(event, listener)
}

export const plugin = fp(websocketPlugin, { fastify: '5.x', name: '@fastkeep/websocket' })
