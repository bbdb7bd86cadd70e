import type { ContextConfigDefault, FastifyBaseLogger, FastifySchema, FastifyTypeProvider, FastifyTypeProviderDefault, RawReplyDefaultExpression, RawRequestDefaultExpression, RawServerBase, RawServerDefault, RouteGenericInterface } from 'fastify'
import type { RouteSession } from './options.js'
import type { Session } from './session.js'
import type { Sessions } from './sessions.js'

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * The session. On a route with `session: false` it throws `FST_KEEP_SECURE_SESSION_ROUTE_OFF`,
     * and with `session: 'lazy'` its members throw `FST_KEEP_SECURE_SESSION_NOT_LOADED` before `load()`.
     */
    readonly session: Session
  }

  interface FastifyInstance {
    /** The sessions besides that of a request. Of a registration with `name: 'admin'` it is `adminSessions`. */
    readonly sessions: Sessions
  }

  // TypeScript merges interfaces only if their type parameters are the same to the letter.
  /* eslint-disable @typescript-eslint/no-unused-vars */
  interface RouteShorthandOptions<
    RawServer extends RawServerBase = RawServerDefault,
    RawRequest extends RawRequestDefaultExpression<RawServer> = RawRequestDefaultExpression<RawServer>,
    RawReply extends RawReplyDefaultExpression<RawServer> = RawReplyDefaultExpression<RawServer>,
    RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
    ContextConfig = ContextConfigDefault,
    SchemaCompiler extends FastifySchema = FastifySchema,
    TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
    Logger extends FastifyBaseLogger = FastifyBaseLogger
  > {
    /**
     * `false`: the session is not to be used on this route, and nothing of it is read or written.
     * `'lazy'` (or `{ lazy: true }`): it is loaded by `await request.session.load()`.
     * `{ csrf: false }`: pages of other origins may use this route. Default `true`.
     */
    session?: RouteSession
  }
  /* eslint-enable @typescript-eslint/no-unused-vars */
}
