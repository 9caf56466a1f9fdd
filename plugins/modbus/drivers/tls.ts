import { driverOver, tls } from '../transports.ts';

/** The driver "modbus-tls". */
const driver = driverOver(tls);

export default driver;
