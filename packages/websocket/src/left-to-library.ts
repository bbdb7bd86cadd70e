import type { WebsocketPluginOptions } from '@fastify/websocket'

/**
 * What @fastify/websocket does its own way, under its own options. The plugin leaves it nothing; the drop-in
 * leaves it everything, until its user turns the guards on.
 */
export interface LeftToLibrary extends WebsocketPluginOptions {
  /** What handlers throw and sockets emit goes to `errorHandler`; what listeners throw is uncaught. */
  errors?: boolean
  /** What comes before there is a listener is lost. */
  earlyMessages?: boolean
  /** `app.close()` closes the sockets by `preClose`. */
  drain?: boolean
  /** An upgrade on a route without a WebSocket handler is accepted, and closed. */
  otherRoutes?: boolean
}
