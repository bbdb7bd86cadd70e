import fp from 'fastify-plugin'
import { createDevelopmentCertificate, developmentCertificate } from './certificates/development-ca.js'
import { plugin } from './plugin.js'
import { createServerContext } from './server-context.js'

const registered = fp(plugin, { name: '@fastkeep/tls-context', fastify: '5.x' })

/** The Fastify plugin, and on it the named exports, since `require()` of this module gives the plugin alone. */
const tlsContext = Object.assign(registered, {
  tlsContext: registered,
  createServerContext,
  createDevelopmentCertificate,
  developmentCertificate,
})

export default tlsContext
export { tlsContext, tlsContext as 'module.exports' }
export { createServerContext, type CertificateDescription, type ServerContext, type ServerContextOptions, type TlsServerOptions } from './server-context.js'
export { createDevelopmentCertificate, developmentCertificate, type DevelopmentCertificate, type DevelopmentCertificateOptions } from './certificates/development-ca.js'
export { type ProfileName } from './profiles.js'
export { type PemSource } from './certificates/load.js'
export { type TlsContextError, type TlsContextErrorCode } from './errors.js'
export { type TlsConnection } from './connection.js'
export { type TlsContextOptions } from './plugin.js'
