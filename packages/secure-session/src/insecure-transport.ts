import type { FastifyBaseLogger } from 'fastify'

/** Says for a request whether its answer goes over plain HTTP, where browsers ignore a Secure cookie, and logs it: loud once. */
export function insecureTransportGuard (cookieName: string): (request: { readonly protocol: string, readonly log: FastifyBaseLogger }) => boolean {
  let isWarned = false
  return request => {
    if (request.protocol === 'https') return false
    const code = 'FST_KEEP_SECURE_SESSION_INSECURE_TRANSPORT'
    const text = `cookie "${cookieName}" not sent, the session is lost: it is Secure and the request came over plain HTTP.`
    if (isWarned) {
      request.log.debug({ code }, text)
    } else {
      isWarned = true
      request.log.warn({ code }, `${text} Behind a proxy that ends TLS, set Fastify's option "trustProxy" and have the proxy send ` +
        'X-Forwarded-Proto; on your own machine, register with { development: true }. Logged at level debug from now on')
    }
    return true
  }
}
