import type { ContextConfigDefault, FastifyBaseLogger, FastifySchema, FastifyTypeProvider, FastifyTypeProviderDefault, RawReplyDefaultExpression, RawRequestDefaultExpression, RawServerBase, RawServerDefault, RouteGenericInterface } from 'fastify'
import type { Session } from './session.js'

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * The session, opened at first use. On a route with `session: false` it throws `FST_KEEP_SECURE_SESSION_ROUTE_OFF`.
     */
    readonly session: Session
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
    /** `false`: the session is not to be used on this route, and nothing of it is read or written. Default `true`. */
    session?: boolean
  }
  /* eslint-enable @typescript-eslint/no-unused-vars */
}
