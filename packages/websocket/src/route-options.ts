import type { RouteOptions } from 'fastify'
import { RouteOptionsMisplaced } from './errors.js'
import type { WebSocketRouteOptions } from './options.js'

/**
 * What a route asks for: `websocket: { ... }` where it serves WebSockets only, `wsOptions` beside `wsHandler`, where an
 * object under `websocket` would take the HTTP handler for one of sockets.
 *
 * @returns `undefined` for a route that takes no WebSocket
 * @throws FST_KEEP_WEBSOCKET_ROUTE_OPTIONS_MISPLACED
 */
export function routeOptionsOf (route: RouteOptions, name: string): { key: string, options: WebSocketRouteOptions } | undefined {
  const { websocket, wsHandler, wsOptions } = route as RouteOptions & { websocket?: boolean | WebSocketRouteOptions }
  if (typeof websocket === 'object' && websocket !== null) {
    if (wsHandler !== undefined) throw new RouteOptionsMisplaced(name, 'has an object under "websocket" beside a "wsHandler"; write it under "wsOptions"')
    if (wsOptions !== undefined) throw new RouteOptionsMisplaced(name, 'has both "websocket: { ... }" and "wsOptions"; write all under "websocket"')
    return { key: 'websocket', options: websocket }
  }
  if (wsHandler !== undefined) return { key: 'wsOptions', options: wsOptions ?? {} }
  if (wsOptions !== undefined) {
    throw new RouteOptionsMisplaced(name, websocket === true
      ? 'has "wsOptions" but no "wsHandler"; write "websocket: { ... }" instead'
      : 'has "wsOptions" but neither "wsHandler" nor "websocket"')
  }
  return websocket === true ? { key: 'websocket', options: {} } : undefined
}
