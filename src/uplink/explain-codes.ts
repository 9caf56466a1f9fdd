import { type Attempt, type Failure, notMqtt, refused, unreachable } from './failure.ts';

/** Why a broker does not take a connection, from the code of its CONNACK. Codes of MQTT 3.1.1 are 1 to 5, those of MQTT 5 begin at 0x80. */
export function explainConnack(code: number, attempt: Attempt): Failure {
  const broker = `The broker ${attempt.host}`;
  switch (code) {
    case 1:
    case 0x84:
      return {
        ...notMqtt(
          `${broker} does not speak this version of MQTT`,
          'Set uplink.protocol to auto, or to the version that the broker speaks.',
        ),
        tryOlder: true,
      };
    case 2:
    case 0x85:
      return refused(
        `${broker} does not accept the client id of this gateway`,
        'Allow client ids of the form GATEWAY.TENANT on the broker.',
      );
    case 4:
    case 0x86:
    case 0x8c:
      return refused(
        `${broker} does not accept user name or password`,
        'Correct uplink.username and uplink.password.',
      );
    case 5:
    case 0x87:
      return refused(
        `${broker} does not authorise this gateway to connect`,
        'Check uplink.username, uplink.password and the rights of this gateway on the broker.',
      );
    case 0x8a:
      return refused(
        `${broker} has banned this gateway`,
        'Ask the operator of the broker why, and have the ban lifted.',
      );
    case 3:
    case 0x88:
    case 0x89:
      return unreachable(
        `${broker} is busy or being started`,
        'Nothing: it is tried again by itself.',
      );
    case 0x97:
    case 0x9f:
      return refused(
        `${broker} has reached its quota for connections`,
        'Ask the operator of the broker for more connections.',
      );
    default:
      return refused(
        `${broker} refuses the connection with code ${code}`,
        'Look at the log of the broker.',
      );
  }
}

/** Why a broker has ended a connection, from the code of its DISCONNECT. */
export function explainDisconnect(code: number, attempt: Attempt): Failure {
  const broker = `The broker ${attempt.host}`;
  switch (code) {
    case 0x8e:
      return refused(
        `${broker} dropped this connection because another one came with the same client id`,
        'Look for a second gateway with the same gateway.id (a copied SD card, for example).',
      );
    case 0x8b:
      return unreachable(`${broker} is shutting down`, 'Nothing: it is tried again by itself.');
    case 0x87:
      return refused(
        `${broker} ended the connection: not authorised`,
        'Check the rights of this gateway on the broker (topics riser/1/#).',
      );
    case 0x95:
      return refused(
        `${broker} ended the connection because a packet was too large for it`,
        'Raise the packet limit of the broker (256 KiB is enough).',
      );
    case 0x96:
    case 0x97:
      return refused(
        `${broker} ended the connection because too much was published`,
        'Ask the operator of the broker for a higher rate or quota.',
      );
    default:
      return unreachable(
        `${broker} ended the connection with code ${code}`,
        'Nothing, if it passes; else look at the log of the broker.',
      );
  }
}
