// Its types add `injectWS`, `request.ws`, `websocket` and `wsHandler` to Fastify's.
import '@fastify/websocket'
import type {
  ContextConfigDefault, FastifyBaseLogger, FastifyInstance, FastifyRequest, FastifySchema, FastifyTypeProvider, FastifyTypeProviderDefault,
  RawReplyDefaultExpression, RawRequestDefaultExpression, RawServerBase, RawServerDefault, RouteGenericInterface
} from 'fastify'
import type { WebSocketRouteOptions } from './options.js'
import type { GuardedWebSocket } from './socket.js'

/** What this package adds to an instance, as `app.websocket`. */
export interface FastkeepWebSocket {
  /**
   * Sends a message to every socket of this process that has subscribed to the topic: a string as text, bytes as binary.
   * A socket that has more than `maxBufferedBytes` waiting is closed with 1013 instead, as by its own `send`.
   *
   * Returns the number of sockets that it was handed to. Throws FST_KEEP_WEBSOCKET_TOPIC_INVALID and
   * FST_KEEP_WEBSOCKET_MESSAGE_INVALID.
   *
   * @example app.websocket.publish('room/7', JSON.stringify({ text: 'hello' })) // 2
   */
  publish (topic: string, message: string | Uint8Array): number
  /** The open sockets that have subscribed to the topic, as they are now. Throws FST_KEEP_WEBSOCKET_TOPIC_INVALID. */
  subscribers (topic: string): ReadonlySet<GuardedWebSocket>
  /**
   * Refuses new sockets with 503, closes the open ones with 1001 and waits for them, for `closeDeadline` ms at most,
   * or until the signal aborts; then the rest is cut. It runs once: a later call joins it. `app.close()` calls it too.
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
    websocket: FastkeepWebSocket

    route<
      RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
      ContextConfig = ContextConfigDefault,
      const SchemaCompiler extends FastifySchema = FastifySchema
    >(
      opts: Omit<RouteOptions<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, Logger>, 'handler' | 'websocket'> & {
        websocket: true
        handler: GuardedWebSocketHandler<RawServer, RawRequest, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, Logger>
      }
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>

    route<
      RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
      ContextConfig = ContextConfigDefault,
      const SchemaCompiler extends FastifySchema = FastifySchema
    >(
      opts: Omit<RouteOptions<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, Logger>, 'wsHandler' | 'websocket'> & {
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
    <RouteGeneric extends RouteGenericInterface = RouteGenericInterface, ContextConfig = ContextConfigDefault, SchemaCompiler extends FastifySchema = FastifySchema, InnerLogger extends Logger = Logger>(
      path: string,
      opts: RouteShorthandOptions<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, InnerLogger> & { websocket: true },
      handler?: GuardedWebSocketHandler<RawServer, RawRequest, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, InnerLogger>
    ): FastifyInstance<RawServer, RawRequest, RawReply, InnerLogger, TypeProvider>
  }
}
