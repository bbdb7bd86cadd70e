import https from 'node:https'
import { createSecureContext, type Server, type TLSSocket } from 'node:tls'

/**
 * Gives the certificate with the `acmeIdentifier` extension for a name that is being validated (RFC 8737 section 3),
 * in PEM, or nothing where none is. Any ACME client can drive it.
 */
export type AcmeResponder = (servername: string) => { readonly cert: string, readonly key: string } | undefined

const acmeProtocol = 'acme-tls/1'

type AlpnCallback = (this: TLSSocket, offer: { servername: string, protocols: string[] }) => string | undefined

/** Takes the place of `ALPNProtocols`, which Node allows no more beside it, and so chooses for HTTP as well. */
export function acmeAlpnCallback (respond: AcmeResponder): AlpnCallback {
  return function ({ servername, protocols }) {
    if (!protocols.includes(acmeProtocol)) return protocolsOf((this as TLSSocket & { server?: Server }).server).find(protocol => protocols.includes(protocol))
    const answer = respond(servername)
    if (answer === undefined) return undefined
    ;(this as TLSSocket & { setKeyCert: (context: object) => void }).setKeyCert(createSecureContext(answer))
    return acmeProtocol
  }
}

function protocolsOf (server: Server | undefined): readonly string[] {
  if (server instanceof https.Server) return ['http/1.1']
  // Http2SecureServer is not exported.
  return server !== undefined && 'updateSettings' in server ? ['h2', 'http/1.1'] : []
}
