import { plugin as registered } from './plugin.js'

export type { RouteDescription } from './describe.js'
export type { Broker, BrokerEvents } from './brokers/broker.js'
export { localBroker } from './brokers/local.js'
export type { DrainingEngine } from './drain.js'
export type { MessageDefinition, MessageDefinitions } from './message-definition.js'
export type { FastkeepWebSocket, GuardedWebSocketHandler, PublishOptions } from './fastify.js'
export type {
  Authenticate, Authenticated, SlowReaderPolicy, TopicsOptions, WebSocketGuardOptions, WebSocketLimits, WebSocketPluginOptions, WebSocketRouteOptions,
  WebSocketScopeOptions
} from './options.js'
export type { OriginFunction, OriginOption } from './origin.js'
export type { SigningKey, SigningOptions } from './signing-keys.js'
export type { RouteStatistics } from './statistics.js'
export type { Publication } from './publication.js'
export type { GuardedWebSocket, Peer, WebSocketTypes } from './socket.js'

// `require()` gives the plugin alone, and `require().websocket` is it too.
const plugin = Object.assign(registered, { websocket: registered })

export default plugin
export { plugin as websocket, plugin as 'module.exports' }
