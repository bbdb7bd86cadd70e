import type { FastifyInstance } from 'fastify'

/** `injectWS` whose client answers pings, as every other client does: a test may take longer than `pingInterval`. */
export function injectAnswering (injectWS: FastifyInstance['injectWS']): FastifyInstance['injectWS'] {
  return (path, upgradeContext, options = {}) => injectWS(path, upgradeContext, {
    ...options,
    onInit: client => {
      client.on('ping', data => client.pong(data))
      options.onInit?.(client)
    },
  })
}
