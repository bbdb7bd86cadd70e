import type { FastifyInstance } from 'fastify'

/** `injectWS` that waits until the app is ready, and whose client answers pings, as every other client does: a test may take longer than `pingInterval`. */
export function injectAnswering (app: FastifyInstance): FastifyInstance['injectWS'] {
  const { injectWS } = app
  return async (path, upgradeContext, options = {}) => {
    await app.ready()
    return await injectWS(path, upgradeContext, {
      ...options,
      onInit: client => {
        client.on('ping', data => client.pong(data))
        options.onInit?.(client)
      },
    })
  }
}
