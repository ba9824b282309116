// An identity provider on loopback for the end-to-end tests: npm's certified `oidc-provider`, all
// in memory. What a test may change while it runs stands below /control:
//   POST /control/keys?keep=yes|no     sign with new keys; publish the old ones beside them, or not
//   POST /control/jwks?answer=WORD     what the key set's address does: keys, error or hang

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';

import { Provider } from 'oidc-provider';

const AUDIENCE = 'orders-api';
const RESOURCES = 'https://api.example.com/'; // and then the algorithm, or `opaque`
const ROLES = { ann: ['editor'], 'orders-batch': ['viewer'] };

const KEY_TYPES = [
  ['rsa', { modulusLength: 2048 }], // without `alg`: it serves RS* and PS*
  ['ec', { namedCurve: 'P-256' }],
  ['ec', { namedCurve: 'P-384' }],
  ['ec', { namedCurve: 'P-521' }],
  ['ed25519', {}],
];

function newKeys() {
  return KEY_TYPES.map(([type, options]) => ({
    ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }),
    use: 'sig',
  }));
}

const client = (id, metadata) => ({
  client_id: id,
  client_secret: `secret-of-${id}`,
  redirect_uris: [],
  response_types: [],
  grant_types: [],
  ...metadata,
});

function configuration(keys) {
  return {
    jwks: { keys },
    cookies: { keys: [randomBytes(32).toString('hex')] },
    clients: [
      client('orders-batch', { grant_types: ['client_credentials'] }),
      client('orders-web', {
        grant_types: ['authorization_code'],
        redirect_uris: ['https://shop.example.com/callback'],
        response_types: ['code'],
      }),
      client(AUDIENCE, {}), // the service itself, which asks what an opaque token is worth
    ],
    scopes: ['openid'],
    pkce: { required: () => true },
    findAccount: (ctx, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
    extraTokenClaims: (ctx, token) => ({ roles: ROLES[token.accountId ?? token.clientId] ?? [] }),
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (ctx, resource) => {
          const alg = resource.slice(RESOURCES.length);
          return {
            audience: AUDIENCE,
            scope: 'orders:read',
            accessTokenTTL: 3600,
            ...(alg === 'opaque'
              ? { accessTokenFormat: 'opaque' }
              : { accessTokenFormat: 'jwt', jwt: { sign: { alg } } }),
          };
        },
      },
    },
  };
}

let current = newKeys();
let published = current;
let provider;
let jwks = 'keys';

function restart() {
  // Its tokens, sessions and grants are the module's, so they outlive it.
  provider = new Provider(issuer, configuration(published));
}

const controls = {
  keys(query) {
    const former = query.get('keep') === 'yes' ? published : [];
    current = newKeys();
    published = [...current, ...former];
    restart();
  },
  jwks(query) {
    jwks = query.get('answer');
  },
};

async function interaction(request, response) {
  // One form for both questions: who are you (`login`), and may they (anything).
  const form = new URLSearchParams(await text(request));
  const { prompt, session, params } = await provider.interactionDetails(request, response);
  let result;
  if (prompt.name === 'login') {
    result = { login: { accountId: form.get('login') } };
  } else {
    const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    grant.addOIDCScope(prompt.details.missingOIDCScope?.join(' ') ?? '');
    for (const [resource, scopes] of Object.entries(prompt.details.missingResourceScopes ?? {})) {
      grant.addResourceScope(resource, scopes.join(' '));
    }
    result = { consent: { grantId: await grant.save() } };
  }
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
}

async function answer(request, response) {
  const { pathname, searchParams } = new URL(request.url, issuer);
  const [, first, second] = pathname.split('/');
  if (first === 'control') {
    controls[second](searchParams);
    response.end();
  } else if (first === 'interaction') {
    await interaction(request, response);
  } else if (pathname !== '/jwks' || jwks === 'keys') {
    await provider.callback()(request, response);
  } else if (jwks === 'error') {
    response.writeHead(500).end();
  } // else it hangs
}

let issuer;
const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    console.error(error);
    response.writeHead(500).end();
  });
});
server.listen(0, '127.0.0.1', () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  restart();
  console.log(`serving ${issuer}`);
});
