// Its types add `injectWS`, `request.ws`, `websocket` and `wsHandler` to Fastify's.
import '@fastify/websocket'
import type {
  ContextConfigDefault, FastifyBaseLogger, FastifyInstance, FastifyRequest, FastifySchema, FastifyTypeProvider, FastifyTypeProviderDefault,
  RawReplyDefaultExpression, RawRequestDefaultExpression, RawServerBase, RawServerDefault, RouteGenericInterface
} from 'fastify'
import type { RouteDescription } from './describe.js'
import type { CallTypeProvider, MessageDefinition } from './message-definition.js'
import type { WebSocketRouteOptions } from './options.js'
import type { GuardedWebSocket } from './socket.js'
import type { RouteStatistics } from './statistics.js'

export interface PublishOptions {
  /**
   * What the message is the latest of, 1 to 256 characters: where `slowReader` is `'keep-latest'` it takes the place of
   * an earlier one of the same key that still waits for its reader. Default: the topic.
   */
  key?: string
}

/** What this package adds to an instance, as `app.websocket`. */
export interface FastkeepWebSocket<TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault> {
  /**
   * Sends a message to every socket that has subscribed to the topic, here and, where there is a broker, in other
   * processes; each gets it at most once. A string goes as text, bytes go as binary, any other value as its JSON text;
   * on a route with `messages` or `topics` in the envelope `keep.topic` of PROTOCOL.md.
   *
   * What is published within one turn of the event loop is written to a socket at once, at its end. For a socket that
   * has too much waiting its route's `slowReader` decides.
   *
   * Returns the number of sockets of this process that it goes to. Throws FST_KEEP_WEBSOCKET_TOPIC_INVALID,
   * FST_KEEP_WEBSOCKET_MESSAGE_INVALID and FST_KEEP_WEBSOCKET_KEY_INVALID.
   *
   * @example app.websocket.publish('room/7', { text: 'hello' }) // 2
   */
  publish (topic: string, message: unknown, options?: PublishOptions): number
  /** The open sockets that have subscribed to the topic, as they are now. Throws FST_KEEP_WEBSOCKET_TOPIC_INVALID. */
  subscribers (topic: string): ReadonlySet<GuardedWebSocket>
  /** How many sockets of this process have subscribed to the topic and are open. Throws FST_KEEP_WEBSOCKET_TOPIC_INVALID. */
  presence (topic: string): number
  /**
   * A message for a route's `messages` that is written elsewhere than in the route: its `data` is typed by its schema as
   * it is there, by the type provider of the instance. It gives back what it got.
   *
   * @example
   * const say = app.websocket.message({ schema: Type.Object({ text: Type.String() }), handler: ({ text }) => text.length })
   * app.get('/chat', { websocket: { messages: { say } } }, () => {})
   */
  message<const Schema> (
    definition: MessageDefinition<CallTypeProvider<TypeProvider, Schema>, Schema> & { schema: Schema }
  ): MessageDefinition<CallTypeProvider<TypeProvider, Schema>, Schema>
  /** What has happened on each route, such as `GET /chat`, and what waits there. */
  statistics (): Record<string, RouteStatistics>
  /**
   * What is in force on a route. Throws FST_KEEP_WEBSOCKET_ROUTE_UNKNOWN.
   *
   * @example app.websocket.describe('GET /chat').maxPayload // 65536
   */
  describe (route: string): RouteDescription
  /**
   * Refuses new sockets with 503, closes the open ones with 1001 (1012 if another process has taken over) within
   * `drainWindow` ms and waits for them, for `closeDeadline` ms more at most, or until the signal aborts; then the rest
   * is cut. It runs once: a later call joins it. `app.close()` calls it too.
   */
  drain (signal?: AbortSignal): Promise<void>
}

/** The handler of a WebSocket route; `this` is the Fastify instance of the route. */
export type GuardedWebSocketHandler<
  RawServer extends RawServerBase = RawServerDefault,
  RawRequest extends RawRequestDefaultExpression<RawServer> = RawRequestDefaultExpression<RawServer>,
  RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
  ContextConfig = ContextConfigDefault,
  SchemaCompiler extends FastifySchema = FastifySchema,
  TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
  Logger extends FastifyBaseLogger = FastifyBaseLogger
> = (
  this: FastifyInstance,
  socket: GuardedWebSocket,
  request: FastifyRequest<RouteGeneric, RawServer, RawRequest, SchemaCompiler, TypeProvider, ContextConfig, Logger>
) => void | Promise<unknown>

declare module 'fastify' {
  interface FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider> {
    websocket: FastkeepWebSocket<TypeProvider>

    route<
      RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
      ContextConfig = ContextConfigDefault,
      const SchemaCompiler extends FastifySchema = FastifySchema,
      const Schemas = Record<string, unknown>
    >(
      opts: Omit<RouteOptions<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, Logger>, 'handler' | 'websocket'> & {
        websocket: true | WebSocketRouteOptions<TypeProvider, Schemas>
        handler: GuardedWebSocketHandler<RawServer, RawRequest, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, Logger>
      }
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>

    route<
      RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
      ContextConfig = ContextConfigDefault,
      const SchemaCompiler extends FastifySchema = FastifySchema,
      const Schemas = Record<string, unknown>
    >(
      opts: Omit<RouteOptions<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, Logger>, 'wsHandler' | 'wsOptions' | 'websocket'> & {
        wsOptions?: WebSocketRouteOptions<TypeProvider, Schemas>
        wsHandler: GuardedWebSocketHandler<RawServer, RawRequest, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, Logger>
      }
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
  }

  interface RouteShorthandOptions {
    wsOptions?: WebSocketRouteOptions
  }

  interface RouteShorthandMethod<
    RawServer extends RawServerBase = RawServerDefault,
    RawRequest extends RawRequestDefaultExpression<RawServer> = RawRequestDefaultExpression<RawServer>,
    RawReply extends RawReplyDefaultExpression<RawServer> = RawReplyDefaultExpression<RawServer>,
    TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
    Logger extends FastifyBaseLogger = FastifyBaseLogger
  > {
    <RouteGeneric extends RouteGenericInterface = RouteGenericInterface, ContextConfig = ContextConfigDefault, SchemaCompiler extends FastifySchema = FastifySchema, InnerLogger extends Logger = Logger, const Schemas = Record<string, unknown>>(
      path: string,
      opts: Omit<RouteShorthandOptions<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, InnerLogger>, 'websocket'> & { websocket: true | WebSocketRouteOptions<TypeProvider, Schemas> },
      handler?: GuardedWebSocketHandler<RawServer, RawRequest, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, InnerLogger>
    ): FastifyInstance<RawServer, RawRequest, RawReply, InnerLogger, TypeProvider>
  }
}
