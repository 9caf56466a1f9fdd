import { ascii, driverOver } from '../transports.ts';

/** The driver "modbus-ascii". */
const driver = driverOver(ascii);

export default driver;
